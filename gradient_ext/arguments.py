"""Single arguments of the methods that take no parameter dictionary: each is checked before anything is sent."""

from __future__ import annotations

import re

from gradient_ext.errors import InvalidParametersError

_HANDLE = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_EXAMPLE = "'esxfbgzu7xanst'"


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


def checked_projects(project_id: object, subject: str) -> tuple[str, ...]:
    """Return the projects of a filter: one as text, several as a list or tuple, none as None."""
    if project_id is None:
        return ()
    if isinstance(project_id, str):
        project_id = [project_id]
    if not isinstance(project_id, list | tuple):
        wrong = f"must be a str, or a list or tuple of str, not {type(project_id).__name__}"
    elif odd := [
        project for project in project_id if not (isinstance(project, str) and project.isprintable() and project)
    ]:
        wrong = f"must hold ids of projects such as 'prlvf0u05', not {odd[0]!r:.60}"
    else:
        return tuple(dict.fromkeys(project_id))
    raise InvalidParametersError(subject, [f"project_id: {wrong}"])


def checked_whole(name: str, value: object, subject: str, *, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParametersError(subject, [f"{name}: must be an int, not {type(value).__name__}"])
    if value < least:
        raise InvalidParametersError(subject, [f"{name}: must be at least {least}, not {value}"])
