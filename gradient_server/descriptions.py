"""How experiments and log rows look in answers."""

from __future__ import annotations

import functools
import re
from typing import Any

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.simulation import Log
from gradient_server.stored_experiment import StoredExperiment

MOST_ROWS_AT_ONCE = 50_000
"""The most rows in one answer, whatever was asked for: a simulated log can be longer than memory."""


def experiment_answer(experiment: StoredExperiment, clock: Clock) -> dict[str, Any]:
    """Describe an experiment as it is now."""
    now, life, body = clock.now(), experiment.life, experiment.body
    entered = [(moment, state) for moment, state in life.entered if moment <= now]
    # Of a state that it came into more than once, the first time.
    moments = {state: _stamp(clock, moment) for moment, state in reversed(entered)}
    created = _stamp(clock, experiment.created)
    last, state = entered[-1] if entered else (experiment.created, State.CREATED)
    torn_down = moments.get(State.NETWORK_TEARING_DOWN)
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
        "experimentError": experiment.error(now),
        "dtCreated": created,
        "dtModified": _stamp(clock, max(experiment.created, last)),
        "dtProvisioningStarted": moments.get(State.PROVISIONING),
        "dtProvisioningFinished": moments.get(State.PROVISIONED),
        "dtStarted": moments.get(State.RUNNING),
        "dtFinished": torn_down,
        "dtTeardownStarted": torn_down,
        "dtTeardownFinished": moments[state] if state in TERMINAL_STATES and life.running else None,
        "dtDeleted": None,
        "templateHistory": {
            "id": experiment.number,
            "experimentTemplateId": experiment.number,
            "dtCreated": created,
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
        answer.append(
            {"jobId": job.id, "line": row.line, "timestamp": _log_stamp(clock, row.moment), "message": row.message}
        )
    return answer


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
