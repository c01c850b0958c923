"""The command line of the local server."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

from gradient_server import LocalServer


def main() -> int:
    """Run the command line."""
    options = _options()
    try:
        server = LocalServer(
            host=options.host,
            port=options.port,
            api_key=options.api_key,
            time_scale=options.time_scale,
            seed=options.seed,
        )
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    key, *hosts = sorted(server.environment.items())
    print(f"Serving the Gradient Experiments API at {server.url} (simulated runs; Ctrl-C stops it)")
    print("export " + " ".join(f"{name}={value}" for name, value in hosts))
    print(f"export {key[0]}={key[1]}", flush=True)
    try:
        if options.ready_file:
            _write_at_once(options.ready_file, server.ready_text(os.getpid()))
        server.run()
    except KeyboardInterrupt:
        pass  # uvicorn has stopped in good order and passes the signal on
    finally:
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gradient_server", description="Serve a local Gradient Experiments API with simulated runs."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8090, help="port; 0: a free one (default: %(default)s)")
    parser.add_argument(
        "--api-key", type=_key, default="gradient-local", help="key that clients must give (default: %(default)s)"
    )
    parser.add_argument(
        "--time-scale", type=_scale, default=1.0, help="simulated seconds in a real second (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="what ids follow from (default: %(default)s)")
    parser.add_argument("--ready-file", type=Path, help="write addresses, key and pid there, as JSON, once it serves")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")
    return int(text)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no time scale; give a number above 0")
    return scale


def _key(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError("a key must be visible ASCII characters")
    return text


def _write_at_once(path: Path, text: str) -> None:
    """Write a file that nobody can see half written."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
