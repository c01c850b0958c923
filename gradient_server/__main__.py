"""`python -m gradient_server`: serve until a signal; print the addresses and write them to the ready file."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import secrets
import shlex
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

import gradient_server
from gradient_ext import install_command
from gradient_ext.config import server_file
from gradient_server.cli import PROG, STORE, parse_options, print_text, usage_error
from gradient_server.console import logger, show_log
from gradient_server.dashboard.login import login_link
from gradient_server.keys import ServerKey, choose_key, default_folder
from gradient_server.private_files import make_private_folder, write_new

if TYPE_CHECKING:
    from gradient_server import LocalServer

READY_ATTRIBUTES = (
    *("url", "experiments_url", "experiments_url_v2", "logs_url", "api_url"),
    *("api_key", "environment", "simulated"),
)
"""The attributes of a server that the ready file has, besides its process id."""
_MAX_BYTES = 2**16
_NO_READY_FILE = "something else is there, which is not removed; give another path, or remove it"


def main() -> int:
    """Run the command line, and return its exit code."""
    # Before there is a server, nothing has to be stopped.
    _on_signals(lambda: os._exit(0))
    try:
        options = parse_options()
        with contextlib.ExitStack() as stack:
            ready_files = [stack.enter_context(ReadyFile(options.ready_file))] if options.ready_file else []
            key = _key(options)
            server = _server(options, key)
            _on_signals(server.ask_to_stop)
            if options.runner.executes_commands and _has_default_folder():
                # Not before the server has its address: the file is that of another server until then.
                ready_files.append(stack.enter_context(ReadyFile(server_file())))
            for ready_file in ready_files:
                ready_file.write(server)
            _print_addresses(server, key, options)
            server.run()
            if options.runner.executes_commands:
                _report_unfinished(server, options)
            server.stop()
        # A signal that comes now must not make this end look like another one.
        _on_signals(None)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        sys.exit(f"{PROG}: The local server needs {package}: {install_command('server')}")
    return 0


def _key(options: argparse.Namespace) -> ServerKey:
    executes_commands = options.runner.executes_commands
    try:
        return choose_key(options.api_key, options.api_key_file, executes_commands=executes_commands)
    except ValueError as error:
        usage_error(f"--api-key{'' if options.api_key_file is None else '-file'}: {error}")
    except OSError as error:
        _exit(f"{'the key' if options.api_key_file is None else '--api-key-file'} {error.filename}", error)


def _server(options: argparse.Namespace, key: ServerKey) -> LocalServer:
    try:
        if options.runner.executes_commands and options.store is None:
            make_private_folder(default_folder())
            options.store = default_folder() / STORE
        if options.runner.executes_commands:
            show_log()
        return gradient_server.LocalServer(  # imported here: it takes a while, and needs the extra
            host=options.host,
            port=options.port,
            api_key=key.text,
            time_scale=options.time_scale,
            seed=options.seed,
            store=options.store,
            runner=options.runner.from_arguments(options),
            allow_hosts=options.allow_host,
            expose=options.expose,
            keep=[limit.text for limit in options.keep],
        )
    except OSError as error:
        if error.filename is not None:
            _exit(f"--store {error.filename}", error)
        host = f"[{options.host}]" if ":" in options.host else options.host
        _exit(f"Cannot listen on {host}:{options.port}", error)


def _has_default_folder() -> bool:
    """Whether clients can find the server in the user's state folder, which is made if it is missing."""
    try:
        make_private_folder(default_folder())
    except OSError as error:
        print(f"{PROG}: clients have to be given the address: {error}", file=sys.stderr)
        return False
    return True


def _exit(what: str, error: OSError) -> NoReturn:
    sys.exit(f"{PROG}: {what}: {error.strerror}")


def _on_signals(act: Callable[[], object] | None) -> None:
    """Call `act` on SIGINT and SIGTERM; None: ignore both."""

    def handler(number: int, frame: FrameType | None) -> None:
        if act is not None:
            act()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if act is None else handler)


def _print_addresses(server: LocalServer, key: ServerKey, options: argparse.Namespace) -> None:
    addresses = {name: text for name, text in server.environment.items() if name not in key.environment}
    # Comments, so that they can be pasted with the rest, also into a shell that runs them: no `;` and no substitution.
    source = "with that key" if key.file is None else f"with the key in {str(key.file.absolute())!r}"
    # At once: whoever reads the first line alone has all of it.
    print_text(
        f"Serving the Gradient Experiments API at {server.url} ({options.runner.description}; Ctrl-C stops it)\n"
        f"export {' '.join(_assignments(addresses))}\n"
        f"export {' '.join(_assignments(key.environment))}\n"
        f"# In a browser, once and within an hour: {login_link(server.url, server.api_key)}\n"
        f"# In a browser later: {server.url}/ {source}\n"
    )


def _report_unfinished(server: LocalServer, options: argparse.Namespace) -> None:
    if runs := server.unfinished:
        store = [] if options.store == default_folder() / STORE else ["--store", str(options.store)]
        command = shlex.join(("gradient", "server", "start", *store))
        text = "Not ended: %s. What runs goes on, what is pending waits; to come back to it, start a server again: %s"
        logger.info(text, runs, command)


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(text) if text else ''}" for name, text in sorted(variables.items())]


class ReadyFile:
    """A file with the addresses of a server, as long as it serves. Programs that start a server wait for it.

    :param Path path: where it is; anything else that is there is left alone
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text: str | None = None

    def __enter__(self) -> Self:
        self._remove()  # that of a server that was killed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            if self._text is not None and self._read() == self._text:
                self._path.unlink()

    def write(self, server: LocalServer) -> None:
        """Write the file, readable by its owner alone; exit with code 1 if that fails."""
        members = {name: getattr(server, name) for name in READY_ATTRIBUTES} | {"pid": os.getpid()}
        text = json.dumps(members, indent=1) + "\n"
        # Nobody can put a link in the way of a name that cannot be guessed.
        draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(8)}")
        try:
            write_new(draft, text)
            self._remove()
            draft.replace(self._path)
            self._text = text
        except OSError as error:
            _exit(f"--ready-file {self._path}", error)
        finally:
            draft.unlink(missing_ok=True)

    def _remove(self) -> None:
        try:
            if (text := self._read()) is None:
                return
            if not _is_ready_text(text):
                raise FileExistsError(errno.EEXIST, _NO_READY_FILE)
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _exit(f"--ready-file {self._path}", error)

    def _read(self) -> str | None:
        """Return the beginning of the file; None: there is none."""
        try:
            is_file = stat.S_ISREG(self._path.stat().st_mode)
        except FileNotFoundError:
            return None
        if not is_file:  # which may have no end
            raise FileExistsError(errno.EEXIST, _NO_READY_FILE)
        with self._path.open("rb") as file:
            return file.read(_MAX_BYTES).decode(errors="replace")


def _is_ready_text(text: str) -> bool:
    if not text:  # as `mktemp` makes it
        return True
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(members, dict) and members.keys() <= {*READY_ATTRIBUTES, "pid"}


if __name__ == "__main__":
    sys.exit(main())
