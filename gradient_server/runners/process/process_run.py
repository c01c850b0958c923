"""One experiment of the process runner, as the server asks for it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from itertools import islice

from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Transitions
from gradient_server.runners.process.followed_run import FollowedRun
from gradient_server.runners.process.log_file import LogReader

MOST_CHARACTERS = 2**25
"""How much text is given at once: what the server has in memory, several times over. The page's rows all fit in."""


class Phase(Enum):
    """What is to be done with a run."""

    NEW = "nothing yet"
    QUEUED = "to be run as soon as there is a slot"
    ACTIVE = "to be followed"
    ENDED = "nothing any more"


class ProcessRun(Run):
    """A run whose commands are processes. It keeps what is known; the runner does what is to be done.

    :param str handle: of the experiment
    :param jobs: its jobs
    :param FollowedRun files: what its supervisor writes
    :param Clock clock: what time it is
    :param lock: is held while its phase changes
    :param act: is told of this run, under the lock, when there is something to do
    """

    def __init__(
        self,
        handle: str,
        jobs: tuple[Job, ...],
        files: FollowedRun,
        clock: Clock,
        lock: AbstractContextManager[object],
        act: Callable[[ProcessRun], object],
    ) -> None:
        self.handle = handle
        self.jobs = jobs
        self.files = files
        self.phase = Phase.NEW
        self.started: float | None = None
        self.is_to_stop = False
        self.is_forgotten = False
        self._clock = clock
        # From real time to moments, so that rows have their true dates, and the same ones each time.
        self._shift = -clock.date(0.0).timestamp()
        self._lock = lock
        self._act = act
        self._entered: tuple[tuple[float, int], ...] = ()
        self._known_states = 0
        self._error: str | None = None

    @property
    def transitions(self) -> Transitions:
        """Every state that it has entered; nobody knows what comes."""
        return self._entered

    def error(self, now: float) -> str | None:
        """Say what went wrong."""
        return self._error

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Give rows as they are in the files, as many as are asked for, or as much text as there may be at once."""
        end = self._end()
        logs = [self._rows_of(index, line, now, end) for index in range(len(self._logs))]
        rows = heapq.merge(*logs, key=lambda found: found[1].line) if len(logs) > 1 else logs[0] if logs else iter(())
        return list(islice(_bounded(rows), limit))

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Give rows of a job as they are in its file, or as much text of them as there may be at once."""
        index = self.jobs.index(job)
        if index >= len(self._logs):
            return []
        return [row for _, row in islice(_bounded(self._rows_of(index, line, now, self._end())), limit)]

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Say where the files end, or the markers are."""
        end = self._end()
        if self._logs and end is not None and end <= now and self.files.history.rows:
            counts = [rows + 1 for rows in self.files.history.rows]
        else:
            counts = [log.count() for log in self._logs] or [0] * len(self.jobs)
        return dict(zip(self.jobs, counts, strict=True))

    def next_row_at(self, line: int, now: float) -> float | None:
        """Say whether there is one; when the next one comes, nobody knows."""
        end = self._end()
        if end is not None:
            return None if end <= now else end
        return now if any(log.count() > line for log in self._logs) else math.inf

    def start(self, timestamp: float) -> None:
        """Put it at the end of the queue."""
        with self._lock:
            self._enter(timestamp, State.PENDING)
            self.started = timestamp
            self.phase = Phase.QUEUED
            self._act(self)

    def stop(self, timestamp: float) -> None:
        """Take it out of the queue, or have it stopped."""
        with self._lock:
            if self.phase in (Phase.NEW, Phase.QUEUED):
                self.phase = Phase.ENDED
                self._enter(timestamp, State.CANCELLED)
            self.is_to_stop = True
            self._act(self)

    def delete(self) -> None:
        """Have it ended and removed."""
        with self._lock:
            self.is_forgotten = self.is_to_stop = True
            self._act(self)

    def take_news(self) -> None:
        """Note what its supervisor has written since."""
        history = self.files.history
        with self._lock:
            now = self._clock.now()
            if history.has_ended:
                self._error = history.error
                self.phase = Phase.ENDED
            for real, state in history.states[self._known_states :]:
                self._enter(min(real + self._shift, now), state)
            self._known_states = len(history.states)
            # Not before: whoever has seen a row finds its run in a state in which it can have printed that.
            self.files.show_rows()

    def fail(self, error: str) -> None:
        """End it, as it cannot even be started."""
        with self._lock:
            self._error = error
            self.phase = Phase.ENDED
            self._enter(self._clock.now(), State.ERROR)
            for log in self.files.logs:
                log.shown = None

    @property
    def _logs(self) -> Sequence[LogReader]:
        # Before anything has happened, what is there can only be of another run that had the handle before.
        return self.files.logs if self._known_states else ()

    def _enter(self, moment: float, state: int) -> None:
        # Moments never go back, whatever the clock of the machine does.
        last = self._entered[-1][0] if self._entered else -math.inf
        self._entered = (*self._entered, (max(moment, last), state))

    def _rows_of(self, index: int, line: int, now: float, end: float | None) -> Iterator[tuple[Job, LogRow]]:
        job, shift = self.jobs[index], self._shift
        for number, real, message in self.files.logs[index].after(line):
            yield job, LogRow(number, real + shift, message)
        if end is not None and end <= now and self.files.history.rows:
            last = self.files.history.rows[index] + 1
            if line < last:
                yield job, LogRow(last, end, END_OF_LOG)

    def _end(self) -> float | None:
        moment, state = self._entered[-1] if self._entered else (0.0, State.CREATED)
        return moment if state in TERMINAL_STATES else None


def _bounded(rows: Iterator[tuple[Job, LogRow]]) -> Iterator[tuple[Job, LogRow]]:
    """Leave out what would be too much, but give all rows of a line: what is left out then comes after that line."""
    left, line = MOST_CHARACTERS, 0
    for found in rows:
        row = found[1]
        if left <= 0 and row.line > line:
            return
        yield found
        line = row.line
        left -= len(row.message)
