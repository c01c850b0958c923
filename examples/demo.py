"""Start the local server on a free port, run the quickstart against it, and stop the server. `make demo` calls it."""

import os
import runpy
import time
from pathlib import Path

from gradient_server import LocalServer

QUICKSTART = Path(__file__).with_name("quickstart.py")
TIME_SCALE = 5


def main() -> None:
    began = time.monotonic()
    with LocalServer(time_scale=TIME_SCALE) as server:
        print(f"A local server runs at {server.url}, {TIME_SCALE} times as fast as life.")
        os.environ.update(server.environment)
        runpy.run_path(str(QUICKSTART), run_name="__main__")
    print(f"\nDone in {time.monotonic() - began:.0f} seconds; the server has stopped.")


if __name__ == "__main__":
    main()
