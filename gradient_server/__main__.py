"""What `python -m gradient_server` does."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from gradient_server.cli import STORE, Parser, parser
from gradient_server.ready_file import ready_file
from gradient_server.runners.base import runners

if TYPE_CHECKING:
    from gradient_server import LocalServer
    from gradient_server.chosen_key import ChosenKey


def main() -> int:
    """Run the command line."""
    # As long as there is no server, there is nothing that a signal would have to bring to an end.
    _on_signals(lambda: os._exit(0))
    try:
        reader = parser()
    except ModuleNotFoundError as error:
        needed = f"The local server needs {error.name}: pip install 'gradient-experiments[server]'"
        print(f"python -m gradient_server: {needed}", file=sys.stderr)
        return 1
    options = reader.parsed()
    try:
        with ready_file(options.ready_file) as write_ready_file:
            key = _key(reader, options)
            server = _server(reader, options, key)
            _on_signals(server.ask_to_stop)
            write_ready_file(server.ready_text(os.getpid()))
            _say_where(server, key, options)
            server.run()
            server.stop()
        # What comes now comes too late; it must not make an ordered end look like another.
        _on_signals(None)
    except OSError as error:
        if options.ready_file is None or not str(error.filename).startswith(str(options.ready_file)):
            raise
        reader.exit(1, f"{reader.prog}: --ready-file {options.ready_file}: {error.strerror}\n")
    return 0


def _key(reader: Parser, options: argparse.Namespace) -> ChosenKey:
    from gradient_server.chosen_key import chosen_key  # not before: a file of an earlier server is to go first

    try:
        return chosen_key(
            options.api_key, options.api_key_file, runner_is_real=runners()[options.runner].executes_commands
        )
    except ValueError as error:
        reader.error(f"--api-key{'' if options.api_key_file is None else '-file'}: {error}")
    except ModuleNotFoundError as error:
        reader.exit(1, f"{reader.prog}: real runs need {error.name}: pip install 'gradient-experiments[server]'\n")
    except OSError as error:
        what = "the key" if options.api_key_file is None else "--api-key-file"
        reader.exit(1, f"{reader.prog}: {what} {error.filename}: {error.strerror}\n")


def _server(reader: Parser, options: argparse.Namespace, key: ChosenKey) -> LocalServer:
    try:
        from gradient_server import LocalServer  # not before: it takes a while, and the extra may not be installed

        runner_type = runners()[options.runner]
        if runner_type.executes_commands and options.store is None:
            options.store = _default_store()
        return LocalServer(
            host=options.host,
            port=options.port,
            api_key=key.text,
            time_scale=options.time_scale,
            seed=options.seed,
            store=options.store,
            runner=runner_type.from_arguments(options),
            allow_hosts=options.allow_host,
            expose=options.expose,
        )
    except ModuleNotFoundError as error:
        reader.exit(1, f"{reader.prog}: {error}\n")
    except OSError as error:
        if error.filename is not None:
            reader.exit(1, f"{reader.prog}: --store {error.filename}: {error.strerror}\n")
        place = f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
        reader.exit(1, f"{reader.prog}: Cannot listen on {place}: {error.strerror}\n")


def _default_store() -> Path:
    """Return the path of the store of a server that executes commands, in a folder of this user alone."""
    from gradient_server.keys import default_folder
    from gradient_server.private_files import private_folder

    folder = default_folder()
    with private_folder(folder):
        return folder / STORE


def _on_signals(act: Callable[[], object] | None) -> None:
    """Do this when the program is told to stop; None: nothing."""

    def handler(number: int, frame: FrameType | None) -> None:
        if act is not None:
            act()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if act is None else handler)


def _say_where(server: LocalServer, key: ChosenKey, options: argparse.Namespace) -> None:
    runs = runners()[options.runner].description
    print(f"Serving the Gradient Experiments API at {server.url} ({runs}; Ctrl-C stops it)")
    places = {name: text for name, text in server.environment.items() if name not in key.environment}
    print("export", *_assignments(places))
    print("export", *_assignments(key.environment))
    # A comment, so that it can be pasted, too; whatever the file is called, it is one line.
    where = "with that key" if key.file is None else f"with the key in {str(key.file.absolute())!r}"
    print(f"# In a browser: {server.url}/ {where}", flush=True)


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(text) if text else ''}" for name, text in sorted(variables.items())]


if __name__ == "__main__":
    sys.exit(main())
