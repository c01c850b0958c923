"""Simulated runs: what a run is asked to do, and the rows that its jobs print. Nothing is executed.

Rows are functions of the job and the line, so that a log of any length takes no memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from attrs import frozen
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient_server.lifecycle import Life, Plan

OUTCOMES = {State.get_state_str(state): state for state in (State.STOPPED, State.FAILED, State.ERROR)}
DEFAULT_SECONDS = 20.0
DEFAULT_ROWS = 20
MOST_ROWS = 10**9
MOST_SECONDS = 10.0**9
ERROR_TEXT = "The machine could not be set up (simulated: GRADIENT_MOCK_OUTCOME=error)"


@frozen(kw_only=True)
class Wish:
    """What the creator of an experiment wants of its simulated run."""

    plan: Plan
    rows: int


class WrongWish(ValueError):
    """A GRADIENT_MOCK variable says something that cannot be."""


def wish_of(environment: Mapping[str, Any]) -> Wish:
    """Read the GRADIENT_MOCK variables of an experiment.

    :raises WrongWish: one of them is wrong; the text says which and what would be right
    """
    outcome = str(environment.get("GRADIENT_MOCK_OUTCOME", State.get_state_str(State.STOPPED)))
    if outcome not in OUTCOMES:
        raise WrongWish(f"GRADIENT_MOCK_OUTCOME must be one of {', '.join(OUTCOMES)}.")
    seconds = _number(environment, "GRADIENT_MOCK_SECONDS", DEFAULT_SECONDS, MOST_SECONDS)
    rows = _number(environment, "GRADIENT_MOCK_LOG_LINES", DEFAULT_ROWS, MOST_ROWS)
    if rows != int(rows):
        raise WrongWish("GRADIENT_MOCK_LOG_LINES must be a whole number.")
    return Wish(plan=Plan(seconds=seconds, outcome=OUTCOMES[outcome]), rows=int(rows))


def _number(environment: Mapping[str, Any], name: str, default: float, most: float) -> float:
    given = environment.get(name, default)
    try:
        value = math.nan if isinstance(given, bool) or given is None else float(given)
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= most:
        raise WrongWish(f"{name} must be a number from 0 to {most:.0f}.")
    return value


@frozen(kw_only=True)
class Row:
    """One printed row: its line, the moment of simulated time, and the text."""

    line: int
    moment: float
    message: str


@frozen(kw_only=True)
class Job:
    """One node of a run."""

    id: str
    title: str


def visible_rows(wish: Wish, life: Life, now: float) -> int:
    """Say how many rows each job has printed, the end marker included: evenly over the time that its command runs."""
    span = life.running
    if span is None or now < span[0]:
        return 0
    printed = _printed(wish, life, min(now, span[1]))
    return printed + 1 if now >= span[1] else printed


def rows(wish: Wish, life: Life, job: Job, first: int, last: int) -> Iterator[Row]:
    """Give the rows of a job from one line to another; both must be visible."""
    assert life.running is not None
    begin, end = life.running
    printed = _printed(wish, life, end)
    for line in range(first, last + 1):
        if line > printed:
            yield Row(line=line, moment=end, message=END_OF_LOG)
        else:
            yield Row(line=line, moment=begin + _pause(wish) * line, message=_message(wish, job, line))


def _pause(wish: Wish) -> float:
    span = Life(plan=wish.plan, started=0.0).running
    assert span is not None
    return (span[1] - span[0]) / (wish.rows + 1)


def _printed(wish: Wish, life: Life, moment: float) -> int:
    assert life.running is not None
    begin, planned = life.running[0], Life(plan=wish.plan, started=life.started).running
    if planned is None or moment >= planned[1]:
        return wish.rows
    return min(wish.rows, int((moment - begin) / _pause(wish)))


def _message(wish: Wish, job: Job, line: int) -> str:
    if line == wish.rows and wish.plan.outcome == State.FAILED:
        return f"{job.title}: the command ended with exit code 1 (simulated)"
    share = line / wish.rows
    noise = Random(f"{job.id} {line}").uniform(-0.02, 0.02)
    loss = 2.3 * math.exp(-3 * share) + 0.05 + noise
    return f"{job.title}: step {line}/{wish.rows}  loss {loss:.4f}  accuracy {1 - loss / 2.6:.3f}"
