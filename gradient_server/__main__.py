"""The command line of the local server."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from gradient_server.own_names import checked_name
from gradient_server.ready_file import ready_file
from gradient_server.settings import (
    DEFAULT_KEY,
    checked_file,
    checked_host,
    checked_key,
    checked_port,
    checked_scale,
    checked_seed,
)

if TYPE_CHECKING:
    from gradient_server import LocalServer
    from gradient_server.chosen_key import ChosenKey

_Value = TypeVar("_Value")
_EPILOG = """\
It prints two lines to paste into another terminal; clients that start there find it. Ctrl-C, SIGINT and SIGTERM stop
it, and the exit code is then 0. It is 1 where the server cannot start, and 2 where an option is wrong. With --store,
whatever ends it, kill -9 too, nothing is lost that it has answered; only a power failure can take the last changes."""


def main() -> int:
    """Run the command line."""
    # As long as there is no server, there is nothing that a signal would have to bring to an end.
    _on_signals(lambda: os._exit(0))
    parser = _parser()
    options = parser.parse_args()
    try:
        with ready_file(options.ready_file) as write_ready_file:
            key = _key(parser, options)
            server = _server(parser, options, key)
            _on_signals(server.ask_to_stop)
            write_ready_file(server.ready_text(os.getpid()))
            _say_where(server, key)
            server.run()
            server.stop()
        # What comes now comes too late; it must not make an ordered end look like another.
        _on_signals(None)
    except OSError as error:
        if error.filename is None:
            raise
        parser.exit(1, f"{parser.prog}: --ready-file {error.filename}: {error.strerror}\n")
    return 0


def _key(parser: argparse.ArgumentParser, options: argparse.Namespace) -> ChosenKey:
    from gradient_server.chosen_key import chosen_key  # not before: a file of an earlier server is to go first

    try:
        return chosen_key(options.api_key, options.api_key_file)
    except OSError as error:
        parser.exit(1, f"{parser.prog}: --api-key-file {error.filename}: {error.strerror}\n")


def _server(parser: argparse.ArgumentParser, options: argparse.Namespace, key: ChosenKey) -> LocalServer:
    try:
        from gradient_server import LocalServer  # not before: it takes a while, and the extra may not be installed

        return LocalServer(
            host=options.host,
            port=options.port,
            api_key=key.text,
            time_scale=options.time_scale,
            seed=options.seed,
            store=options.store,
            allow_hosts=options.allow_host,
        )
    except ModuleNotFoundError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except OSError as error:
        if error.filename is not None:
            parser.exit(1, f"{parser.prog}: --store {error.filename}: {error.strerror}\n")
        place = f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
        parser.exit(1, f"{parser.prog}: Cannot listen on {place}: {error.strerror}\n")


def _on_signals(act: Callable[[], object] | None) -> None:
    """Do this when the program is told to stop; None: nothing."""

    def handler(number: int, frame: FrameType | None) -> None:
        if act is not None:
            act()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if act is None else handler)


def _say_where(server: LocalServer, key: ChosenKey) -> None:
    print(f"Serving the Gradient Experiments API at {server.url} (simulated runs; Ctrl-C stops it)")
    print(
        "export",
        *_assignments({name: text for name, text in server.environment.items() if name not in key.environment}),
    )
    print("export", *_assignments(key.environment), flush=True)


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(text) if text else ''}" for name, text in sorted(variables.items())]


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m gradient_server",
        description="Serve a local Gradient Experiments API with simulated runs.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
    )

    def add(name: str, metavar: str, check: Callable[[str], object], default: object, text: str) -> None:
        parser.add_argument(name, metavar=metavar, type=_said(check), default=default, help=text)

    add("--host", "ADDRESS", checked_host, "127.0.0.1", "address to listen on (default: %(default)s)")
    add("--port", "PORT", checked_port, 8090, "port to listen on; 0: a free one (default: %(default)s)")
    text = "another name by which clients call it; can be given again"
    parser.add_argument(
        "--allow-host", metavar="NAME", type=_said(checked_name), default=[], action="append", help=text
    )
    text = (
        f"key that clients must give (default: {DEFAULT_KEY}); all users of this machine can see it, so prefer a file"
    )
    key = parser.add_mutually_exclusive_group()
    key.add_argument("--api-key", metavar="KEY", type=_said(checked_key), help=text)
    text = 'file with the key, as clients read it: {"apiKey": "..."}'
    key.add_argument("--api-key-file", metavar="FILE", type=_said(checked_file), help=text)
    add("--time-scale", "FACTOR", checked_scale, 1.0, "simulated seconds in a real second (default: %(default)s)")
    add("--seed", "NUMBER", checked_seed, 0, "what the ids of experiments and jobs follow from (default: %(default)s)")
    add("--store", "FILE", checked_file, None, "file to keep experiments in, so that a later server goes on with them")
    add("--ready-file", "PATH", checked_file, None, "file to write addresses, key and pid to, in JSON, once it serves")
    return parser


def _said(check: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Let argparse say what a check says; of a ValueError it would only say that there was one."""

    def checked(text: str) -> _Value:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


if __name__ == "__main__":
    sys.exit(main())
