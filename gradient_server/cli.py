"""The options of `python -m gradient_server`. Imports only what is fast: `--help` does not wait for the server."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from gradient_ext.retention import parse_limit
from gradient_server.runners.base import Runner, runners
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.settings import (
    DEFAULT_KEY,
    DEFAULT_SEED,
    check_bind_host,
    check_file,
    check_host,
    check_host_name,
    check_key,
    check_port,
    check_seed,
    check_time_scale,
)

_Value = TypeVar("_Value")
PROG = "python -m gradient_server"
STORE = "experiments"
"""The name of the store in its default folder."""
_EPILOG = f"""\
It prints two lines to paste into another terminal: clients that start there find the server and its key. The link below
them opens experiments and their logs in a browser, once and within an hour; later, the page wants the key.

Real runs: with --runner process, commands run on this machine, as the user who starts the server. Anyone with the key
can run any command. Files are kept in the folder gradient-experiments of the user's state directory (~/.local/state
on Linux), which nobody else can read: config.json, with the random key; {STORE}, the store; {STORE}.runs, a folder
for each run. With --store FILE, the runs are in FILE.runs. When the server ends, running commands go on; the next
server with the same store follows them to their end. A line for each run that starts, ends or is deleted goes to
stderr.

Ctrl-C, SIGINT and SIGTERM stop the server with exit code 0. The exit code is 1 if it cannot start, and 2 if an option
is wrong. With a store, nothing that the server has acknowledged is lost, not even by kill -9; only a power failure can
take the last changes."""


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line, with `runner` as a class; exit with code 2 if they are invalid.

    :raises ModuleNotFoundError: the extra is not installed
    """
    known = runners()
    parser = _Parser(
        prog=PROG,
        description="Serve a local Gradient Experiments API. Runs are simulated, or commands really run.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: _Formatter(prog, max_help_position=30),
    )
    _add_options(parser, known.values())
    owners = _add_runner_options(parser, known.values())
    options = parser.parse_args(arguments)
    options.runner = known[options.runner]
    problem = _conflict(options, owners)
    if problem:
        parser.error(problem)
    options.seed = DEFAULT_SEED if options.seed is None else options.seed
    return options


def print_text(text: str) -> None:
    """Print text, with the names of files in it as the file system has them; exit with code 1 if that is impossible."""
    if sys.stdout is None:  # it was closed
        return
    try:
        sys.stdout.flush()
        # Bytes, because names may have characters that the encoding of the output does not have, or be in no encoding.
        sys.stdout.buffer.write(os.fsencode(text))
        sys.stdout.flush()
    except OSError as error:
        # What could not be written stays in the buffer, and Python would try again when it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"{PROG}: Cannot write to the standard output: {error.strerror}")


def usage_error(message: str) -> NoReturn:
    """Exit with code 2: an option is wrong."""
    _Parser(prog=PROG).error(message)


class _Formatter(argparse.HelpFormatter):
    """Keeps the paragraphs of the epilog."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_Formatter, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


class _Parser(argparse.ArgumentParser):
    """A parser whose errors have one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")

    def print_help(self, file: object = None) -> None:
        print_text(self.format_help())


def _add_options(parser: argparse.ArgumentParser, known: Collection[type[Runner]]) -> None:
    def add(name: str, metavar: str, check: Callable[[str], object], text: str, default: object = None) -> None:
        parser.add_argument(name, metavar=metavar, type=_argument_type(check), default=default, help=text)

    text = "; ".join(f"{runner.name}: {runner.description}" for runner in known)
    parser.add_argument(
        "--runner",
        choices=[runner.name for runner in known],
        default=SimulatedRunner.name,
        help=f"{text} (default: %(default)s)",
    )
    add("--host", "ADDRESS", check_host, "address to listen on (default: %(default)s)", "127.0.0.1")
    add("--port", "PORT", check_port, "port to listen on; 0: a free one (default: %(default)s)", 8090)
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        type=_argument_type(check_host_name),
        default=[],
        action="append",
        help="another name by which clients call it; can be given again",
    )
    parser.add_argument(
        "--expose",
        action="store_true",
        help="let other machines run commands here: needed for a --host that they can reach",
    )
    key = parser.add_mutually_exclusive_group()
    text = (
        f"key that clients must give (default: {DEFAULT_KEY}, with real runs a random one); all users of this machine "
        "can see it, so prefer a file"
    )
    key.add_argument("--api-key", metavar="KEY", type=_argument_type(check_key), help=text)
    text = 'file with the key, as clients read it: {"apiKey": "..."}'
    key.add_argument("--api-key-file", metavar="FILE", type=_argument_type(check_file), help=text)
    add(
        "--seed",
        "NUMBER",
        check_seed,
        f"determines the ids of simulated experiments and jobs (default: {DEFAULT_SEED})",
    )
    text = "file to keep experiments in, so that a later server goes on with them (default: none; real runs: see below)"
    add("--store", "FILE", check_file, text)
    parser.add_argument(
        "--keep",
        metavar="LIMIT",
        type=_argument_type(parse_limit),
        default=[],
        action="append",
        help="delete ended runs beyond a number (50), an age (30d) or a size (200GB), the oldest first; can be given "
        "again (default: all are kept)",
    )
    text = "file, readable by you alone, to write addresses, key and pid to, in JSON, once it serves"
    add("--ready-file", "PATH", check_file, text)
    text = "simulated seconds in a real second, where nothing is executed (default: %(default)s)"
    add("--time-scale", "FACTOR", check_time_scale, text, 1.0)


def _add_runner_options(parser: argparse.ArgumentParser, known: Collection[type[Runner]]) -> dict[str, type[Runner]]:
    """Add the options of each runner, and return which runner each of them belongs to, or the base of several."""
    owners: dict[str, type[Runner]] = {}
    groups: dict[str, Any] = {}
    # Several runners may have options from one base class.
    classes = dict.fromkeys(cls for runner in known for cls in reversed(runner.__mro__) if "add_arguments" in vars(cls))
    for owner in (cls for cls in classes if issubclass(cls, Runner) and cls is not Runner):
        before = vars(parser.parse_args([])).keys()
        names = _names_of(owner, known)
        groups[names] = groups.get(names) or parser.add_argument_group(f"with --runner {names}")
        owner.add_arguments(groups[names])
        owners |= dict.fromkeys(vars(parser.parse_args([])).keys() - before, owner)
    return owners


def _names_of(owner: type[Runner], known: Collection[type[Runner]]) -> str:
    """Return the names of the runners that have the options of a class."""
    return " or ".join(runner.name for runner in known if issubclass(runner, owner))


def _conflict(options: argparse.Namespace, owners: Mapping[str, type[Runner]]) -> str | None:
    """Return what is wrong with options that are valid each by itself."""
    runner: type[Runner] = options.runner
    if runner.executes_commands and options.time_scale != 1:
        return f"--time-scale: commands run in real time; it does not go with --runner {runner.name}"
    if runner.executes_commands and options.seed is not None:
        return f"--seed: ids of real runs are random; it does not go with --runner {runner.name}"
    if options.keep and not runner.executes_commands:
        return f"--keep: with --runner {runner.name}, runs have no files"
    if options.expose and not runner.executes_commands:
        return f"--expose: nothing is executed with --runner {runner.name}; another --host needs a key only"
    for name, owner in owners.items():
        if not issubclass(runner, owner) and getattr(options, name) is not None:
            names = _names_of(owner, runners().values())
            return f"{_flag(name)}: it goes with --runner {names}, not with --runner {runner.name}"
    if problem := runner.check_arguments(options):
        return problem
    # One file for two things would lose one of them.
    used: dict[str, str] = {}
    for name in ("store", "api_key_file", "ready_file"):
        if (path := getattr(options, name)) is None:
            continue
        try:
            real = os.path.realpath(path)
        except FileNotFoundError:
            return f"{_flag(name)}: {path} is in the working directory, which has been deleted; give an absolute path"
        if other := used.get(real):
            return f"{_flag(name)}: {path} is the file of {other}, too; give each its own"
        used[real] = _flag(name)
    try:
        check_bind_host(
            options.host,
            executes_commands=runner.executes_commands,
            expose=options.expose,
            has_own_key=options.api_key is not None or options.api_key_file is not None,
        )
    except ValueError as error:
        return f"--host {options.host}: {error}"
    return None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _argument_type(check: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return a check whose text argparse reports; of a ValueError it would only report that there was one."""

    def checked(text: str) -> _Value:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked
