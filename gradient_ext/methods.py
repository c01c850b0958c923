"""What each method of a client means: the call, the question or the task that it stands for. No I/O.

Arguments are checked here, before anything is sent. The clients load this when a method is called for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradient_api import operations
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS

from gradient_ext.arguments import (
    checked_handle,
    checked_projects,
    checked_question,
    checked_seconds,
    checked_states,
    checked_whole,
)
from gradient_ext.asking import AskExperiment, AskLogs, AskState
from gradient_ext.calls import Call, call_of, nothing
from gradient_ext.config import Options
from gradient_ext.creating import creation
from gradient_ext.display import progress_reporter as progress_reporter
from gradient_ext.following import Follower
from gradient_ext.lists import ExperimentList, LogRows
from gradient_ext.logs import LogRow, without_ends
from gradient_ext.paging import ListCursor
from gradient_ext.waiting import Waiter

Given = Mapping[str, object]


def create_single_node(given: Given) -> Call[str]:
    """Create an experiment that runs on one machine."""
    return creation(operations.CREATE_EXPERIMENT, SINGLE_NODE_PARAMETERS, given, "create_single_node()")


def run_single_node(given: Given) -> Call[str]:
    """Create an experiment that runs on one machine, and start it."""
    return creation(operations.RUN_EXPERIMENT, SINGLE_NODE_PARAMETERS, given, "run_single_node()")


def create_multi_node(given: Given) -> Call[str]:
    """Create an experiment of several nodes."""
    return creation(operations.CREATE_EXPERIMENT, MULTI_NODE_PARAMETERS, given, "create_multi_node()")


def run_multi_node(given: Given) -> Call[str]:
    """Create an experiment of several nodes, and start it."""
    return creation(operations.RUN_EXPERIMENT, MULTI_NODE_PARAMETERS, given, "run_multi_node()")


def start(experiment_id: object) -> Call[None]:
    """Start an experiment."""
    handle = checked_handle(experiment_id, "start()")
    return call_of(operations.START_EXPERIMENT, "Failed to start experiment", handle, meaning=nothing)


def stop(experiment_id: object) -> Call[None]:
    """Stop an experiment."""
    handle = checked_handle(experiment_id, "stop()")
    return call_of(operations.STOP_EXPERIMENT, "Failed to stop experiment", handle, meaning=nothing)


def delete(experiment_id: object) -> Call[None]:
    """Delete an experiment."""
    handle = checked_handle(experiment_id, "delete()")
    return call_of(operations.DELETE_EXPERIMENT, "Failed to delete resource", handle, meaning=nothing)


def get(experiment_id: object) -> tuple[str, AskExperiment]:
    """Read an experiment."""
    return checked_handle(experiment_id, "get()"), AskExperiment()


def state(experiment_id: object) -> tuple[str, AskState]:
    """Read a state."""
    return checked_handle(experiment_id, "state()"), AskState()


def listing(project_id: object, limit: int | None, offset: int) -> ListCursor:
    """Go through a list."""
    projects = checked_projects(project_id, "list()")
    if limit is not None:
        checked_whole("limit", limit, "list()", least=1)
    checked_whole("offset", offset, "list()", least=0)
    return ListCursor(offset, limit, projects=projects)


def no_experiments() -> ExperimentList:
    """Make the list that callers get, for the experiments to come."""
    return ExperimentList()


def iter_experiments(project_id: object, page_size: int) -> ListCursor:
    """Go through a list of any length."""
    projects = checked_projects(project_id, "iter_experiments()")
    checked_whole("page_size", page_size, "iter_experiments()", least=1)
    return ListCursor(projects=projects, most=page_size, forgets=True)


def logs(experiment_id: object, line: int, limit: int) -> tuple[str, AskLogs]:
    """Read log rows."""
    handle = checked_handle(experiment_id, "logs()")
    return handle, AskLogs(question=checked_question(line, limit, "logs()"))


def log_rows(rows: Iterable[LogRow]) -> LogRows:
    """Make the list that callers get, without the markers that end the logs of jobs."""
    return LogRows(without_ends(rows))


def yield_logs(
    experiment_id: object, line: int, limit: int, timeout: object, options: Options, *, shows_state: bool
) -> Follower:
    """Follow logs."""
    return Follower(
        shows_state=shows_state,
        handle=checked_handle(experiment_id, "yield_logs()"),
        start=checked_question(line, limit, "yield_logs()"),
        timeout=checked_seconds("timeout", timeout, "yield_logs()"),
        patience=options.patience,
    )


def wait(experiment_id: object, until: object, timeout: object, options: Options, *, raise_on_failure: bool) -> Waiter:
    """Wait for a state."""
    return Waiter(
        handle=checked_handle(experiment_id, "wait()"),
        until=checked_states("until", until, "wait()"),
        timeout=checked_seconds("timeout", timeout, "wait()"),
        patience=options.patience,
        raise_on_failure=raise_on_failure,
    )
