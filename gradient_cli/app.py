"""The command `gradient`: its groups, the commands at its top, and what errors end it with."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click
from gradient_api.parameters import SINGLE_NODE_PARAMETERS

import gradient
from gradient import GradientSdkError
from gradient_cli.experiments import client, creating_options, experiments, follow, keywords_from
from gradient_cli.options import Group
from gradient_cli.outcomes import ExitCode, exit_code_of_error, print_error
from gradient_cli.output import note
from gradient_cli.projects import projects
from gradient_cli.server import environment_command, server
from gradient_ext._json import is_mapping
from gradient_ext.config import KEY_MEMBER, configuration_file

_DEFAULTS = {"project_id": "default", "container": "none", "machine_type": "local"}
_NAME_LENGTH = 60


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(None, "--version", package_name="gradient-experiments", message="%(version)s")
def command_line() -> None:
    """Run machine-learning experiments, and look at their logs and results.

    Exit codes: 0 success; 1 the API refused the request or could not be reached; 2 an option or argument is wrong;
    3 the experiment failed; 4 it was canceled; 5 there is no such experiment or project; 124 timeout; 130 Ctrl-C.
    """


command_line.add_command(experiments)
command_line.add_command(projects)
command_line.add_command(server)
command_line.add_command(environment_command)


@command_line.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True)
@click.option("-d", "--detach", is_flag=True, help="Do not follow the log; print the id on stdout.")
@creating_options(SINGLE_NODE_PARAMETERS, without="command", defaults={"name": "the command", **_DEFAULTS})
def run(*, words: tuple[str, ...], detach: bool, **options: Any) -> None:
    """Run a command as an experiment, follow its log, and exit with its outcome.

    \b
      gradient run --workspace . -- python train.py --epochs 3
      gradient run 'python train.py | tee log.txt'

    One word is a shell command, several are a program and its arguments. Ctrl-C stops following; the experiment goes
    on.
    """
    command = words[0] if len(words) == 1 else shlex.join(words)
    given = keywords_from(SINGLE_NODE_PARAMETERS, options)
    keywords: Any = {"name": command[:_NAME_LENGTH], **_DEFAULTS, **given}
    experiment_id = client().run_single_node(command=command, **keywords)
    if detach:
        click.echo(experiment_id)
        return
    note(f"Experiment {experiment_id}")
    click.get_current_context().exit(follow(experiment_id))


@command_line.command("apiKey")
@click.argument("key", metavar="KEY")
def keep_api_key(key: str) -> None:
    """Keep the API key for later commands and clients, in a file that only you can read."""
    _change_configuration({KEY_MEMBER: key})


@command_line.command()
def logout() -> None:
    """Forget the API key that `gradient apiKey` keeps."""
    _change_configuration({KEY_MEMBER: None})


@command_line.command()
def version() -> None:
    """Print the version."""
    click.echo(gradient.__version__)


def _show_warning(message: Warning | str, *place: Any, **options: Any) -> None:
    # Whoever types commands is not interested in the place in the code.
    note(f"{click.style('Warning:', fg='yellow', bold=True)} {message}")


def _change_configuration(changes: dict[str, str | None]) -> None:
    """Change members of the configuration file; None removes one. The others stay."""
    path = configuration_file()
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        content = {}
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from None
    if not is_mapping(content):
        raise click.ClickException(f"{path} must hold a JSON object")
    members = {str(name): value for name, value in content.items() if name not in changes}
    members |= {name: value for name, value in changes.items() if value is not None}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(members) + "\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    :param arguments: the arguments after the name of the command; default: those of this process
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run_command_line(arguments)


def _run_command_line(arguments: Sequence[str] | None) -> int:
    try:
        code = command_line.main(arguments, prog_name="gradient", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.OK
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.ERROR
    except GradientSdkError as error:
        print_error(error)
        return exit_code_of_error(error)
    except (click.Abort, KeyboardInterrupt):
        note("Aborted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as `head` does. Python must not flush into the pipe when it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.ERROR
