"""The options of the command line of the local server: each is checked, and whether they go together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from gradient_server.api.security import check_bind_host, check_host_name
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
STORE, RUNS = "experiments", ".runs"
"""What the file of experiments is called where nothing else was said, and what its name ends with for that of runs."""
_GRACE = 5.0
_EPILOG = f"""\
It prints two lines to paste into another terminal: clients that start there find the server and its key. At the address
below them a browser shows what the server knows, to those who have the key.

Real runs: with --runner process, commands run on this machine, as the user who starts the server, and who has the key
can run any. What is kept is in the folder gradient-experiments of the user's state directory (~/.local/state on Linux),
which nobody else can read: config.json, with the random key; {STORE}, the store; {STORE}{RUNS}, a folder for each run.
With --store FILE, the runs are in FILE{RUNS}. When the server ends, commands that are running go on; the next server
with the same store follows them to their end.

Ctrl-C, SIGINT and SIGTERM stop the server, and the exit code is then 0. It is 1 where it cannot start, and 2 where an
option is wrong. With a store, whatever ends the server, kill -9 too, nothing is lost that it has answered; only a power
failure can take the last changes."""


class _Formatter(argparse.HelpFormatter):
    """Keeps the paragraphs of the text at the end apart."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_Formatter, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


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
            self.error("--time-scale: commands run in real time; it goes with simulated runs")
        for name in ("slots", "grace", "expose"):
            given = getattr(options, name)
            if not is_real and given is not None and given is not False:
                self.error(f"--{name}: with simulated runs nothing is executed; it goes with --runner process")
        self._check_files(options)
        options.slots = options.slots or os.cpu_count() or 1
        options.grace = _GRACE if options.grace is None else options.grace
        try:
            check_bind_host(options.host, executes_commands=is_real, expose=options.expose)
        except ValueError as error:
            self.error(f"--host {options.host}: {error}")
        return options

    def _check_files(self, options: argparse.Namespace) -> None:
        """See that no file is to be two things: one of them would be lost."""
        used: dict[str, str] = {}
        for name in ("store", "api_key_file", "ready_file"):
            path, option = getattr(options, name), f"--{name.replace('_', '-')}"
            if path is None:
                continue
            if other := used.get(os.path.realpath(path)):
                self.error(f"{option}: {path} is the file of {other}, too; give each its own")
            used[os.path.realpath(path)] = option


def parser() -> Parser:
    """Make the parser."""
    made = Parser(
        prog="python -m gradient_server",
        description="Serve a local Gradient Experiments API. Runs are simulated, or commands really run.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: _Formatter(prog, max_help_position=30),
    )

    add = _adding(made.add_argument)
    text = "simulated: nothing is executed; process: commands run on this machine, as you (default: %(default)s)"
    made.add_argument("--runner", choices=RUNNERS, default=SIMULATED, help=text)
    add("--host", "ADDRESS", checked_host, "127.0.0.1", "address to listen on (default: %(default)s)")
    add("--port", "PORT", checked_port, 8090, "port to listen on; 0: a free one (default: %(default)s)")
    text = "another name by which clients call it; can be given again"
    made.add_argument(
        "--allow-host", metavar="NAME", type=_said(check_host_name), default=[], action="append", help=text
    )
    _add_key(made)
    add("--seed", "NUMBER", checked_seed, 0, "what the ids of experiments and jobs follow from (default: %(default)s)")
    text = "file to keep experiments in, so that a later server goes on with them (default: none; real runs: see below)"
    add("--store", "FILE", checked_file, None, text)
    text = "file, readable by you alone, to write addresses, key and pid to, in JSON, once it serves"
    add("--ready-file", "PATH", checked_file, None, text)
    add = _adding(made.add_argument_group("simulated runs").add_argument)
    add("--time-scale", "FACTOR", checked_scale, 1.0, "simulated seconds in a real second (default: %(default)s)")
    _add_real_runs(made.add_argument_group("real runs, with --runner process").add_argument)
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


def _add_real_runs(add_argument: Callable[..., object]) -> None:
    add = _adding(add_argument)
    text = f"how many experiments run at once, the others wait (default: one for each processor, {os.cpu_count()})"
    add("--slots", "NUMBER", checked_slots, None, text)
    text = f"seconds that a command has to end when it is stopped, before it is killed (default: {_GRACE})"
    add("--grace", "SECONDS", checked_seconds, None, text)
    text = "let other machines run commands here: needed for a --host that they can reach"
    add_argument("--expose", action="store_true", help=text)


def _adding(add_argument: Callable[..., object]) -> Callable[[str, str, Callable[[str], object], object, str], None]:
    def add(name: str, metavar: str, check: Callable[[str], object], default: object, text: str) -> None:
        add_argument(name, metavar=metavar, type=_said(check), default=default, help=text)

    return add


def _said(check: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Let argparse say what a check says; of a ValueError it would only say that there was one."""

    def checked(text: str) -> _Value:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked
