"""`gradient server`: start, find, stop and open the local server of this user; `gradient env`."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from typing import Any

import click

from gradient import ExperimentsClient
from gradient_cli.options import Group
from gradient_cli.outcomes import ExitCode
from gradient_cli.output import note, print_json
from gradient_cli.targets import AS_JSON, YES, confirm_deletion, delete_each, opened
from gradient_ext.config import RunningServer, running_server, server_file
from gradient_ext.retention import Limit, parse_limit
from gradient_ext.storage import entries_beyond

_REAL_RUNS = ("--runner", "process")
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 30.0
_POLL_INTERVAL = 0.05
_START_HELP = """\
Usage: gradient server start [--background] [OPTIONS]

  Start a server that executes commands (--runner process) in the foreground, until Ctrl-C.

  --background  Return when it serves; it goes on when the terminal is closed.

All options of the server are accepted:
"""
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": ["--no-such-option"]}


@click.group(cls=Group)
def server() -> None:
    """Start and stop a local server that runs experiments on this machine."""


@server.command(cls=click.Command, context_settings=_PASSED_ON, add_help_option=False)
@click.option("--background", is_flag=True, help="Go on when the terminal is closed.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def start(*, background: bool, options: tuple[str, ...]) -> None:
    """Start a server; all options of `python -m gradient_server` are accepted.

    Commands run for real; `--runner simulated` executes nothing. `--background` returns when it serves.
    """
    names_runner = any(option.partition("=")[0] == "--runner" for option in options)
    arguments = options if names_runner else (*_REAL_RUNS, *options)
    if {"-h", "--help"} & {*options}:
        click.echo(_START_HELP)
        sys.stdout.flush()
    elif background:
        _start_in_background(arguments)
        return
    # The server takes the place of this process, and with it the terminal and its signals.
    os.execv(sys.executable, [sys.executable, "-m", "gradient_server", *arguments])


def _start_in_background(arguments: Sequence[str]) -> None:
    if found := running_server():
        note(f"A server is running at {found.url} (process {found.pid})")
        return
    console = server_file().with_name("server.log")
    console.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(console, flags, 0o600), "r+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-m", "gradient_server", *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if (found := running_server()) and found.pid == process.pid:
                note(f"Serving at {found.url} (process {found.pid}), with its messages in {console}")
                note("`gradient server open` opens its page, `gradient server stop` stops it")
                return
            if process.poll() is not None:
                log.seek(0)
                raise click.ClickException(log.read().strip())
            time.sleep(_POLL_INTERVAL)
        process.terminate()
    raise click.ClickException(f"The server did not start within {_START_TIMEOUT:.0f} seconds; see {console}")


@server.command()
def status() -> None:
    """Print where the server is: exit code 0 if it runs, 1 if not."""
    found = running_server()
    if found is None:
        note("No server is running; `gradient server start` starts one")
        raise click.exceptions.Exit(ExitCode.ERROR)
    click.echo(f"Running at {found.url} (process {found.pid})")


@server.command()
def stop() -> None:
    """Stop the server; running commands go on, and the next server follows them."""
    found = _found()
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT
    while running_server() == found:
        if time.monotonic() > deadline:
            raise click.ClickException(f"Process {found.pid} has not ended within {_STOP_TIMEOUT:.0f} seconds")
        time.sleep(_POLL_INTERVAL)
    note("Server stopped")


@server.command()
@AS_JSON
def du(*, as_json: bool) -> None:
    """Print how much of the disk of the server the files of each experiment take, the largest first."""
    found = opened(ExperimentsClient).storage()
    if as_json:
        print_json({"entries": found.to_dict(), "total": found.total})
    elif found:
        found.show()
    else:
        note("The server keeps nothing")


class _Limit(click.ParamType[Limit]):
    name = "LIMIT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Limit:
        try:
            return value if isinstance(value, Limit) else parse_limit(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@server.command()
@click.option(
    "--keep",
    "limits",
    type=_Limit(),
    multiple=True,
    help="Keep the latest: a number (50), up to an age (30d) or a size (200GB); can be given again.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
@YES
def prune(*, limits: Sequence[Limit], dry_run: bool, yes: bool) -> None:
    """Delete experiments that have ended, with their logs and files: all, or those beyond what is to be kept."""
    client = opened(ExperimentsClient)
    chosen = entries_beyond(client.storage(), limits, time.time())
    if not chosen:
        note("No experiment is to be deleted")
        return
    chosen.show()
    if dry_run:
        return
    ids = [entry.id for entry in chosen]
    if not yes:
        confirm_deletion(ids, "experiment", loses=" with logs and files", is_shown=True)
    delete_each(client, ids)


@server.command("open")
def open_page() -> None:
    """Open the page of the server in a browser, logged in."""
    from gradient_server.dashboard.login import login_link  # in the extra `server`

    found = _found()
    link = login_link(found.url, found.environment["PAPERSPACE_API_KEY"])
    if not webbrowser.open(link):
        click.echo(link)


@click.command("env")
def environment_command() -> None:
    """Print the variables by which clients find the server: eval "$(gradient env)"."""
    found = _found()
    for name, value in found.environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _found() -> RunningServer:
    found = running_server()
    if found is None:
        raise click.ClickException("No server is running; `gradient server start` starts one")
    return found
