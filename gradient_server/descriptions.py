"""How experiments and log rows look in answers."""

from __future__ import annotations

import re
from typing import Any

from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.simulation import Log
from gradient_server.stored_experiment import StoredExperiment

MOST_ROWS_AT_ONCE = 50_000
"""The most rows in one answer, whatever was asked for: a simulated log can be longer than memory."""


def experiment_answer(experiment: StoredExperiment, clock: Clock) -> dict[str, Any]:
    """Describe an experiment as it is now."""
    now, life, body = clock.now(), experiment.life, experiment.body

    def stamp(moment: float | None) -> str | None:
        return None if moment is None else clock.date(moment).isoformat(timespec="microseconds")

    entered = [moment for moment, _ in life.entered if moment <= now]
    ended = entered[-1] if entered and life.entered[-1][0] <= now and life.running else None
    return {
        "handle": experiment.handle,
        "id": experiment.number,
        "experimentTypeId": body["experimentTypeId"],
        "state": life.state(now),
        "projectHandle": body["projectHandle"],
        "projectId": 1,
        "started_by_user_id": 1,
        "experimentTemplateId": experiment.number,
        "experimentTemplateHistoryId": experiment.number,
        "experimentError": experiment.error(now),
        "dtCreated": stamp(experiment.created),
        "dtModified": stamp(max([experiment.created, *entered])),
        "dtProvisioningStarted": stamp(life.entry(State.PROVISIONING, now)),
        "dtProvisioningFinished": stamp(life.entry(State.PROVISIONED, now)),
        "dtStarted": stamp(life.entry(State.RUNNING, now)),
        "dtFinished": stamp(life.entry(State.NETWORK_TEARING_DOWN, now)),
        "dtTeardownStarted": stamp(life.entry(State.NETWORK_TEARING_DOWN, now)),
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
    log, jobs = Log(experiment.wish, experiment.life), experiment.jobs
    # All jobs have printed equally much, so that the rows form a table: a line of it holds one row of every job.
    total = max(0, log.visible(clock.now()) - line) * len(jobs)
    answer: list[dict[str, Any]] = []
    for index in range(min(total, limit, MOST_ROWS_AT_ONCE)):
        further, place = divmod(index, len(jobs))
        job = jobs[place]
        row = log.row(job, line + 1 + further)
        stamp = _log_stamp(clock, row.moment)
        answer.append({"jobId": job.id, "line": row.line, "timestamp": stamp, "message": row.message})
    return answer


def _log_stamp(clock: Clock, moment: float) -> str:
    """Write a moment as the log host did: milliseconds without trailing zeros, and `Z`."""
    whole, _, fraction = clock.date(moment).isoformat(timespec="milliseconds").removesuffix("+00:00").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
