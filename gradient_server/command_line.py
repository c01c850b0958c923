"""The options of the command line of the local server: each is checked, and whether they go together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from gradient_server.exposure import checked_exposure
from gradient_server.own_names import checked_name
from gradient_server.settings import (
    DEFAULT_KEY,
    checked_file,
    checked_host,
    checked_key,
    checked_port,
    checked_scale,
    checked_seconds,
    checked_seed,
    checked_slots,
)

_Value = TypeVar("_Value")
SIMULATED, PROCESS = RUNNERS = ("simulated", "process")
_EPILOG = """\
It prints two lines to paste into another terminal; clients that start there find it. A browser shows what it knows.
Ctrl-C, SIGINT and SIGTERM stop it, and the exit code is then 0. It is 1 where the server cannot start, and 2 where an
option is wrong. With --store, whatever ends it, kill -9 too, nothing is lost that it has answered; only a power failure
can take the last changes. With --runner process, commands that are going then go on, and the next server finds them."""


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Say it, and end."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")

    def parsed(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Read the command line; where options do not go together, that is said as of any that is wrong."""
        options = self.parse_args(arguments)
        is_real = options.runner == PROCESS
        if is_real and options.time_scale != 1:
            self.error("--time-scale: commands run in real time")
        if not is_real and options.slots is not None:
            self.error("--slots: simulated runs need no room; it goes with --runner process")
        try:
            checked_exposure(options.host, runner_is_real=is_real, expose=options.expose)
        except ValueError as error:
            self.error(f"--host {options.host}: {error}")
        return options


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="python -m gradient_server",
        description="Serve a local Gradient Experiments API, with simulated runs or with real ones.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
    )

    def add(name: str, metavar: str, check: Callable[[str], object], default: object, text: str) -> None:
        made.add_argument(name, metavar=metavar, type=_said(check), default=default, help=text)

    add("--host", "ADDRESS", checked_host, "127.0.0.1", "address to listen on (default: %(default)s)")
    add("--port", "PORT", checked_port, 8090, "port to listen on; 0: a free one (default: %(default)s)")
    text = "another name by which clients call it; can be given again"
    made.add_argument("--allow-host", metavar="NAME", type=_said(checked_name), default=[], action="append", help=text)
    _add_key(made)
    add("--time-scale", "FACTOR", checked_scale, 1.0, "simulated seconds in a real second (default: %(default)s)")
    add("--seed", "NUMBER", checked_seed, 0, "what the ids of experiments and jobs follow from (default: %(default)s)")
    text = "file to keep experiments in, so that a later server goes on with them (default with real runs: your own)"
    add("--store", "FILE", checked_file, None, text)
    add("--ready-file", "PATH", checked_file, None, "file to write addresses, key and pid to, in JSON, once it serves")
    _add_runs(made, add)
    return made


def _add_key(made: Parser) -> None:
    key = made.add_mutually_exclusive_group()
    text = (
        f"key that clients must give (default: {DEFAULT_KEY}, with real runs a random one); all users of this machine \
can see it, so prefer a file"
    )
    key.add_argument("--api-key", metavar="KEY", type=_said(checked_key), help=text)
    text = 'file with the key, as clients read it: {"apiKey": "..."}'
    key.add_argument("--api-key-file", metavar="FILE", type=_said(checked_file), help=text)


def _add_runs(made: Parser, add: Callable[[str, str, Callable[[str], object], object, str], None]) -> None:
    text = "simulated: nothing is executed (default); process: commands run on this machine, as you"
    made.add_argument("--runner", choices=RUNNERS, default=SIMULATED, help=text)
    text = f"how many experiments run at once, the others wait (default: one for each processor, {os.cpu_count()})"
    add("--slots", "NUMBER", checked_slots, None, text)
    add("--grace", "SECONDS", checked_seconds, 5.0, "seconds that a command has to end when stopped (default: 5)")
    text = "let other machines run commands here: needed for a --host that they can reach"
    made.add_argument("--expose", action="store_true", help=text)


def _said(check: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Let argparse say what a check says; of a ValueError it would only say that there was one."""

    def checked(text: str) -> _Value:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked
