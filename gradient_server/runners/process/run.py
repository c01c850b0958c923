"""A run whose commands are processes, as the server sees it: its states, its rows, and what is asked of it."""

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
from gradient_server.runners.process.log_file import LOST_ROW, LogReader
from gradient_server.runners.process.monitor import RunMonitor
from gradient_server.runners.process.run_files import error_text

MAX_CHARACTERS = 2**25
"""Text that is returned at once. The server has it in memory several times; the rows of a dashboard page fit in."""


class Phase(Enum):
    """The part of its life that a run is in."""

    NEW = "not started"
    QUEUED = "waits for a slot"
    ACTIVE = "is monitored"
    ENDED = "has ended"


class ProcessRun(Run):
    """A run whose commands are processes. It keeps what is known of it; the scheduler acts on it.

    :param lock: is held while the phase changes
    :param on_request: receives the run, while the lock is held, when the scheduler has to act on it
    """

    def __init__(
        self,
        handle: str,
        jobs: tuple[Job, ...],
        monitor: RunMonitor,
        clock: Clock,
        lock: AbstractContextManager[object],
        on_request: Callable[[ProcessRun], object],
    ) -> None:
        self.handle = handle
        self.jobs = jobs
        self.monitor = monitor
        self.phase = Phase.NEW
        self.started: float | None = None
        self.is_to_stop = False
        self.is_deleted = False
        self._clock = clock
        # Converts times since the epoch to timestamps of the server, so that rows have the same date in each server.
        self._shift = -clock.date(0.0).timestamp()
        self._lock = lock
        self._on_request = on_request
        self._transitions: tuple[tuple[float, int], ...] = ()
        self._known_states = 0
        self._error: str | None = None

    @property
    def transitions(self) -> Transitions:
        """Every state that it has entered; future ones are never known."""
        return self._transitions

    def error(self, now: float) -> str | None:
        """Return what went wrong."""
        return self._error

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Return rows of all jobs from their files, about `MAX_CHARACTERS` of text at most."""
        ended_at = self._ended_at(now)
        logs = [self._rows_after(index, line, ended_at) for index in range(len(self._logs))]
        rows = heapq.merge(*logs, key=lambda row: row[1].line) if len(logs) > 1 else logs[0] if logs else iter(())
        return list(islice(_limit_characters(rows), limit))

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Return rows of a job from its file, about `MAX_CHARACTERS` of text at most."""
        index = self.jobs.index(job)
        if index >= len(self._logs):
            return []
        rows = self._rows_after(index, line, self._ended_at(now))
        return [row for _, row in islice(_limit_characters(rows), limit)]

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Return the last lines, from the events if it has ended and from the files otherwise."""
        if self._logs and self._ended_at(now) is not None:
            counts = [count + 1 for count in self.monitor.history.rows]
        else:
            counts = [log.count() for log in self._logs]
        return dict(zip(self.jobs, counts or [0] * len(self.jobs), strict=True))

    def next_row_at(self, line: int, now: float) -> float | None:
        """Return now or infinity: future rows are never known."""
        if self._transitions and self._transitions[-1][1] in TERMINAL_STATES:
            timestamp = self._transitions[-1][0]
            return None if timestamp <= now else timestamp
        return now if any(log.count() > line for log in self._logs) else math.inf

    def start(self, timestamp: float) -> None:
        """Append it to the queue."""
        with self._lock:
            self._enter(timestamp, State.PENDING)
            self.started = timestamp
            self.phase = Phase.QUEUED
            self._on_request(self)

    def stop(self, timestamp: float) -> None:
        """Take it out of the queue, or have it stopped."""
        with self._lock:
            if self.phase in (Phase.NEW, Phase.QUEUED):
                self.phase = Phase.ENDED
                self._enter(timestamp, State.CANCELLED)
            self.is_to_stop = True
            self._on_request(self)

    def delete(self) -> None:
        """Have it stopped and removed."""
        with self._lock:
            self.is_deleted = self.is_to_stop = True
            self._on_request(self)

    def update(self) -> None:
        """Take over what the monitor has read."""
        history = self.monitor.history
        with self._lock:
            now = self._clock.now()
            if history.has_ended:
                self._error = history.error
                self.phase = Phase.ENDED
            for time_entered, state in history.states[self._known_states :]:
                self._enter(min(time_entered + self._shift, now), state)
            self._known_states = len(history.states)
            # Last, so that nobody sees a row of a run that does not run yet.
            self.monitor.show_rows()

    def fail(self, error: str) -> None:
        """End it with an error that is not among its events."""
        with self._lock:
            self._error = error_text(error)
            self.phase = Phase.ENDED
            self._enter(self._clock.now(), State.ERROR)
            for log in self.monitor.logs:
                log.visible_size = None

    @property
    def _logs(self) -> Sequence[LogReader]:
        # Before its first event, the files can only be those of another run that had the same handle.
        return self.monitor.logs if self._known_states else ()

    def _enter(self, timestamp: float, state: int) -> None:
        # Timestamps never decrease, even if the clock of the machine does.
        latest = self._transitions[-1][0] if self._transitions else -math.inf
        self._transitions = (*self._transitions, (max(timestamp, latest), state))

    def _ended_at(self, now: float) -> float | None:
        """Return when its logs have ended; None: they have not, or have no end marker."""
        if not self._transitions or not self.monitor.history.rows:
            return None
        timestamp, state = self._transitions[-1]
        return timestamp if state in TERMINAL_STATES and timestamp <= now else None

    def _rows_after(self, index: int, line: int, ended_at: float | None) -> Iterator[tuple[Job, LogRow]]:
        job, shift = self.jobs[index], self._shift
        last = None if ended_at is None else self.monitor.history.rows[index]
        number = line
        for number, written, message in self.monitor.logs[index].after(line):
            if last is not None and number > last:
                break
            yield job, LogRow(number, written + shift, message)
        if ended_at is not None and last is not None and line <= last:
            # The file may be cut off; readers rely on lines without gaps.
            for lost in range(number + 1, last + 1):
                yield job, LogRow(lost, ended_at, LOST_ROW)
            yield job, LogRow(last + 1, ended_at, END_OF_LOG)


def _limit_characters(rows: Iterator[tuple[Job, LogRow]]) -> Iterator[tuple[Job, LogRow]]:
    """Yield about `MAX_CHARACTERS` of text, but all rows of the last line, so that a reader can go on after it."""
    remaining, line = MAX_CHARACTERS, 0
    for job, row in rows:
        if remaining <= 0 and row.line > line:
            return
        yield job, row
        line = row.line
        remaining -= len(row.message)
