"""Single arguments of the methods that take no parameter dictionary: each is checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeGuard, cast

from gradient_api.constants import ExperimentState

from gradient_ext._json import is_sequence
from gradient_ext.errors import InvalidParametersError
from gradient_ext.logs import LogQuestion

_HANDLE = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_EXAMPLE = "'esxfbgzu7xanst'"
_NUMBERS = [number for number in vars(ExperimentState).values() if isinstance(number, int)]
_STATES = {ExperimentState.get_state_str(number): number for number in _NUMBERS}


def checked_handle(experiment_id: object, subject: str) -> str:
    """Return the id of an experiment; it becomes a part of addresses and must not lead elsewhere.

    >>> checked_handle("esxfbgzu7xanst", "get()")
    'esxfbgzu7xanst'
    """
    if not isinstance(experiment_id, str):
        wrong = f"must be a str such as {_EXAMPLE}, not {type(experiment_id).__name__}"
    elif not experiment_id:
        wrong = "is empty; it must be what a create or run returned"
    elif not _HANDLE.fullmatch(experiment_id) or not experiment_id.strip("."):
        wrong = f"{experiment_id!r} cannot be an id; ids look like {_EXAMPLE}"
    else:
        return experiment_id
    raise InvalidParametersError(subject, [f"experiment_id: {wrong}"])


def checked_projects(project_id: object, subject: str) -> tuple[str, ...] | None:
    """Return the projects of a filter: one as text, several as a list or tuple; None is no filter."""
    if project_id is None:
        return None
    given = [project_id] if isinstance(project_id, str) else project_id
    if not is_sequence(given):
        wrong = f"must be a str, or a list or tuple of str, not {type(project_id).__name__}"
    elif odd := [project for project in given if not _is_project(project)]:
        wrong = f"must hold ids of projects such as 'prlvf0u05', not {odd[0]!r:.60}"
    else:
        return tuple(dict.fromkeys(filter(_is_project, given)))
    raise InvalidParametersError(subject, [f"project_id: {wrong}"])


def _is_project(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable() and value != ""


def checked_whole(name: str, value: object, subject: str, *, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParametersError(subject, [f"{name}: must be an int, not {type(value).__name__}"])
    if value < least:
        raise InvalidParametersError(subject, [f"{name}: must be at least {least}, not {value}"])


def checked_question(line: int, limit: int, subject: str) -> LogQuestion:
    """Return what to ask of the logs: a line from 0 on, and a limit of at least 1."""
    checked_whole("line", line, subject, least=0)
    checked_whole("limit", limit, subject, least=1)
    return LogQuestion(line, limit)


def checked_seconds(name: str, value: object, subject: str) -> float | None:
    """Return a number of seconds that is more than 0, or None."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise InvalidParametersError(subject, [f"{name}: must be seconds, more than 0, or None, not {value!r:.60}"])


def checked_states(name: str, value: object, subject: str) -> frozenset[int] | None:
    """Return states by their numbers: a number or word, or several of them; None is no state in particular.

    >>> checked_states("until", ["running", 5], "wait()") == {4, 5}
    True
    """
    if value is None:
        return None
    given = _members(value)
    numbers = [_state_number(state) for state in given]
    if numbers and None not in numbers:
        return frozenset(number for number in numbers if number is not None)
    wrong = given[numbers.index(None)] if numbers else value
    words = ", ".join(_STATES)
    raise InvalidParametersError(
        subject, [f"{name}: must be a state or several: numbers, or words ({words}), not {wrong!r:.60}"]
    )


def _members(value: object) -> list[object]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(cast("Iterable[object]", value))
    return [value]


def _state_number(state: object) -> int | None:
    if isinstance(state, str):
        return _STATES.get(state)
    return state if isinstance(state, int) and not isinstance(state, bool) else None
