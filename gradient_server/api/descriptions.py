"""How experiments and log rows look in answers."""

from __future__ import annotations

import functools
import re
from typing import Any

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, entries_until
from gradient_server.store.stored_experiment import StoredExperiment

MOST_ROWS_AT_ONCE = 50_000
"""The most rows in one answer, whatever was asked for: a log can be longer than memory."""


def experiment_answer(experiment: StoredExperiment, clock: Clock) -> dict[str, Any]:
    """Describe an experiment as it is now."""
    now, run, body = clock.now(), experiment.run, experiment.body
    entries = entries_until(run.transitions, now)
    state = next(reversed(entries), State.CREATED)
    # What never ran has neither begun nor ended in the sense of these dates.
    ended = entries[state] if state in TERMINAL_STATES and State.RUNNING in entries else None
    finished = entries.get(State.NETWORK_TEARING_DOWN)

    def stamp(moment: float | None) -> str | None:
        return None if moment is None else _stamp(clock, moment)

    return {
        "handle": experiment.handle,
        "id": experiment.number,
        "experimentTypeId": body["experimentTypeId"],
        "state": state,
        "projectHandle": body["projectHandle"],
        "projectId": 1,
        "started_by_user_id": 1,
        "experimentTemplateId": experiment.number,
        "experimentTemplateHistoryId": experiment.number,
        "experimentError": run.error(now),
        "dtCreated": stamp(experiment.created),
        "dtModified": stamp(entries.get(state, experiment.created)),
        "dtProvisioningStarted": stamp(entries.get(State.PROVISIONING)),
        "dtProvisioningFinished": stamp(entries.get(State.PROVISIONED)),
        "dtStarted": stamp(entries.get(State.RUNNING)),
        "dtFinished": stamp(ended if finished is None else finished),
        "dtTeardownStarted": stamp(finished),
        "dtTeardownFinished": stamp(ended),
        "dtDeleted": None,
        "templateHistory": {
            "id": experiment.number,
            "experimentTemplateId": experiment.number,
            "dtCreated": stamp(experiment.created),
            "dtDeleted": None,
            "triggerEventId": None,
            "params": {_snake_case(name): value for name, value in body.items()},
        },
    }


def log_answer(experiment: StoredExperiment, clock: Clock, line: int, limit: int) -> list[dict[str, Any]]:
    """Give the rows after a line, of all jobs, ordered by line, at most `limit` of them."""
    rows = experiment.run.rows(line, min(limit, MOST_ROWS_AT_ONCE), clock.now())
    return [log_row(job, row, clock) for job, row in rows]


def log_row(job: Job, row: LogRow, clock: Clock) -> dict[str, Any]:
    """Give a row of a job."""
    return {"jobId": job.id, "line": row.line, "timestamp": _log_stamp(clock, row.timestamp), "message": row.message}


# Writing dates is most of the work where many experiments are described, or one of them again and again.
@functools.lru_cache(10_000)
def _stamp(clock: Clock, moment: float) -> str:
    """Write a moment as the service did: microseconds, and the offset of UTC."""
    return clock.date(moment).isoformat(timespec="microseconds")


@functools.lru_cache(10_000)
def _log_stamp(clock: Clock, moment: float) -> str:
    """Write a moment as the log host did: milliseconds without trailing zeros, and `Z`."""
    whole, _, fraction = clock.date(moment).isoformat(timespec="milliseconds").removesuffix("+00:00").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


@functools.cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
