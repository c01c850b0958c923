"""A local server that restarts, with its memory, at every line that it reads; at the end of its input it stops."""

from __future__ import annotations

import json
import sys

from gradient_server import LocalServer
from gradient_server.__main__ import READY_ATTRIBUTES

PAUSE = 0.2
"""Seconds for which nobody listens."""


def main() -> None:
    """Say in one line where everything is, and in a line for each restart that it is over."""
    with LocalServer() as server:
        print(json.dumps({name: getattr(server, name) for name in READY_ATTRIBUTES}), flush=True)
        for _ in sys.stdin:
            server.restart(keep=True, pause=PAUSE)
            print("restarted", flush=True)


if __name__ == "__main__":
    main()
