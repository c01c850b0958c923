"""Exit codes: which one an error or the end of an experiment leads to, and what is printed about it."""

from __future__ import annotations

from enum import IntEnum

import click

from gradient import (
    ExperimentFailedError,
    ExperimentState,
    GradientSdkError,
    InvalidParametersError,
    LogsTimeoutError,
    NotFoundError,
    StateNotReachedError,
    WaitTimeoutError,
)
from gradient_cli.output import note
from gradient_ext.states import has_failed


class ExitCode(IntEnum):
    """The exit codes of `gradient`."""

    OK = 0
    ERROR = 1
    """The API refused the request, or could not be reached."""
    USAGE = 2
    """An option or argument is missing or wrong."""
    FAILED = 3
    """The experiment failed, or could not be run."""
    CANCELED = 4
    """The experiment was stopped by hand."""
    NOT_FOUND = 5
    """There is no such experiment or project."""
    TIMEOUT = 124
    """The time given by `--timeout` is over."""
    INTERRUPTED = 130
    """Ctrl-C."""


def exit_code_of_state(state: int) -> ExitCode:
    """Return the exit code for the state in which an experiment has ended.

    >>> exit_code_of_state(ExperimentState.STOPPED).name, exit_code_of_state(ExperimentState.FAILED).name
    ('OK', 'FAILED')
    """
    if has_failed(state):
        return ExitCode.FAILED
    return ExitCode.CANCELED if state == ExperimentState.CANCELLED else ExitCode.OK


def exit_code_of_error(error: GradientSdkError) -> ExitCode:
    """Return the exit code for an error of the client.

    >>> exit_code_of_error(InvalidParametersError("get()", ["experiment_id: is empty"])).name
    'USAGE'
    """
    match error:
        case InvalidParametersError():
            return ExitCode.USAGE
        case NotFoundError():
            return ExitCode.NOT_FOUND
        case WaitTimeoutError() | LogsTimeoutError():
            return ExitCode.TIMEOUT
        case ExperimentFailedError():
            return ExitCode.FAILED
        case StateNotReachedError():
            # It ended before it was in the state that was waited for: "stopped" instead of "running", for instance.
            return exit_code_of_state(error.state) or ExitCode.ERROR
        case _:
            return ExitCode.ERROR


def print_error(error: GradientSdkError) -> None:
    """Print an error of the client to stderr, with the options of the command line for keywords."""
    problems = error.problems if isinstance(error, InvalidParametersError) else [str(error)]
    for problem in problems:
        note(f"{click.style('Error:', fg='red', bold=True)} {_with_option(problem)}")


def _with_option(problem: str) -> str:
    name, colon, text = problem.partition(":")
    return f"--{name.replace('_', '-')}{colon}{text}" if name.isidentifier() else problem
