"""The options of the command line of the local server: each is checked, and whether they go together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from gradient_server.api.security import check_bind_host, check_host_name
from gradient_server.runners.base import runners
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.settings import (
    DEFAULT_KEY,
    checked_file,
    checked_host,
    checked_key,
    checked_port,
    checked_scale,
    checked_seed,
)

_Value = TypeVar("_Value")
STORE = "experiments"
"""The name of the store in its default folder."""
_EPILOG = f"""\
It prints two lines to paste into another terminal: clients that start there find the server and its key. At the address
below them a browser shows what the server knows, to those who have the key.

Real runs: with --runner process, commands run on this machine, as the user who starts the server, and who has the key
can run any. What is kept is in the folder gradient-experiments of the user's state directory (~/.local/state on Linux),
which nobody else can read: config.json, with the random key; {STORE}, the store; {STORE}.runs, a folder for each run.
With --store FILE, the runs are in FILE.runs. When the server ends, commands that are running go on; the next server
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

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.runner_options: dict[str, dict[str, object]] = {}
        """The defaults of the options that belong to each runner."""

    def error(self, message: str) -> NoReturn:
        """Say it, and end."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")

    def parsed(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Read the command line; where options do not go together, that is said as of any that is wrong."""
        options = self.parse_args(arguments)
        executes = runners()[options.runner].executes_commands
        if executes and options.time_scale != 1:
            self.error(f"--time-scale: commands run in real time; it does not go with --runner {options.runner}")
        if options.expose and not executes:
            self.error(f"--expose: nothing is executed with --runner {options.runner}; every host is allowed")
        for runner, defaults in self.runner_options.items():
            given = [name for name, default in defaults.items() if getattr(options, name) != default]
            if runner != options.runner and given:
                option = given[0].replace("_", "-")
                self.error(f"--{option}: it goes with --runner {runner}, not with --runner {options.runner}")
        self._check_files(options)
        try:
            check_bind_host(options.host, executes_commands=executes, expose=options.expose)
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
    known = runners()
    text = "; ".join(f"{name}: {runner.description}" for name, runner in known.items())
    made.add_argument("--runner", choices=known, default=SimulatedRunner.name, help=f"{text} (default: %(default)s)")
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
    text = "simulated seconds in a real second, where nothing is executed (default: %(default)s)"
    add("--time-scale", "FACTOR", checked_scale, 1.0, text)
    text = "let other machines run commands here: needed for a --host that they can reach"
    made.add_argument("--expose", action="store_true", help=text)
    for name, runner in known.items():
        before = vars(made.parse_args([]))
        runner.add_arguments(made.add_argument_group(f"with --runner {name}"))
        made.runner_options[name] = {key: text for key, text in vars(made.parse_args([])).items() if key not in before}
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
