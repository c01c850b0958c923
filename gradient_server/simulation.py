"""Simulated runs: what a run is asked to do, and the rows that its jobs print. Nothing is executed.

Rows are functions of the job and the line, so that a log of any length takes no memory.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
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


class Log:
    """What each job of a run prints: rows, evenly over the time that its command is meant to run, and an end marker.

    The marker comes when the run has ended as a whole: who has followed a log to its end finds the outcome.

    :param Wish wish: what the run is to be like
    :param Life life: what has happened to it
    """

    def __init__(self, wish: Wish, life: Life) -> None:
        self._wish = wish
        self._span = life.running
        if self._span is not None:
            begin, end = self._span
            self._ended = life.entered[-1][0]
            planned = Life(plan=wish.plan, started=life.started).running
            assert planned is not None
            self._pause = (planned[1] - begin) / (wish.rows + 1)
            self._printed = wish.rows if end >= planned[1] else self._printed_until(end)

    def visible(self, now: float) -> int:
        """Say how many rows each job has printed, the end marker included."""
        if self._span is None or now < self._span[0]:
            return 0
        return self._printed + 1 if now >= self._ended else min(self._printed, self._printed_until(now))

    def appears(self, line: int) -> float:
        """Say from which moment on a line is visible; infinity: it never is."""
        if self._span is None or line > self._printed + 1:
            return math.inf
        moment = self._moment(line)
        while self.visible(moment) < line:  # by rounding, and then at the next number or the one after it
            moment = math.nextafter(moment, math.inf)
        return moment

    def row(self, job: Job, line: int) -> Row:
        """Give a row of a job, one that is visible."""
        message = END_OF_LOG if line > self._printed else _message(self._wish, job, line)
        return Row(line=line, moment=self._moment(line), message=message)

    def _moment(self, line: int) -> float:
        assert self._span is not None
        begin, end = self._span
        # Rounding must not put a row behind the end.
        return self._ended if line > self._printed else min(begin + self._pause * line, end)

    def _printed_until(self, moment: float) -> int:
        assert self._span is not None
        return min(self._wish.rows, int((moment - self._span[0]) / self._pause)) if self._pause else self._wish.rows


def _message(wish: Wish, job: Job, line: int) -> str:
    if line == wish.rows and wish.plan.outcome == State.FAILED:
        return f"{job.title}: the command ended with exit code 1 (simulated)"
    share = line / wish.rows
    # As good as random, the same whenever the row is asked for, and quick: there may be millions of them.
    noise = zlib.crc32(f"{job.id} {line}".encode()) / 2**32
    loss = 2.3 * math.exp(-3 * share) + 0.03 + 0.04 * noise
    return f"{job.title}: step {line}/{wish.rows}  loss {loss:.4f}  accuracy {1 - loss / 2.6:.3f}"
