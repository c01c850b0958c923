"""One run as the server sees it: what is asked of it, and the files that its supervisor writes."""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from itertools import islice
from pathlib import Path

from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Transitions
from gradient_server.runners.process.environment import passed_on
from gradient_server.runners.process.log_file import LogReader
from gradient_server.runners.process.processes import kill, kill_run
from gradient_server.runners.process.run_files import (
    FILES_REMOVED,
    EventReader,
    EventWriter,
    History,
    LaunchSpec,
    RunDirectory,
)

MAX_CHARACTERS = 2**25
"""Text that is returned at once. The server has it in memory several times; the rows of a dashboard page fit in."""
_SUPERVISOR_MODULE = "gradient_server.runners.process.supervisor"
_CHECK_INTERVAL = 0.1
"""Seconds between two checks of whether the supervisor is alive."""
_SUPERVISOR_KILLED = (
    "The process that supervised the run was killed: how its commands went on is unknown, and what was left of them "
    "has been ended"
)


class RunMonitor:
    """Starts the supervisor of a run, follows its files, and ends the run if the supervisor dies.

    Only one thread may use it, but for `history` and `logs`.
    """

    def __init__(self, directory: RunDirectory, jobs: int, spec: LaunchSpec | None = None) -> None:
        self.directory = directory
        self.logs = [LogReader(directory.log(index)) for index in range(jobs)]
        self._spec = spec
        self._events = EventReader(directory.events)
        self._launcher: subprocess.Popen[bytes] | None = None
        """The process that exits as soon as the run is claimed."""
        self._is_terminated = False
        self._checked = 0.0
        self._sizes: list[int] = []
        self._has_changed = False
        self._was_killed = False

    @property
    def history(self) -> History:
        """The events of the run that were read."""
        return self._events.history

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, or is going to."""
        if self._was_killed:
            return True
        return self._launcher is None and (self.history.has_ended or self.history.supervisor is None)

    def launch(self) -> None:
        """Start its supervisor. It does nothing if the run was claimed before.

        :raises OSError: the files cannot be written, or the process cannot be started
        """
        assert self._spec is not None
        self.directory.create(self._spec)
        try:
            self._launcher = self._start_supervisor()
        except OSError:
            self.directory.remove_spec()
            raise

    def poll(self) -> bool:
        """Read what is new. Return whether there was anything.

        :raises OSError: that failed; the next call reads it
        """
        sizes = [_size(self.directory.events), *(_size(log.path) for log in self.logs)]
        if sizes != self._sizes:
            self._events.read()
            self._sizes, self._has_changed = sizes, True
        if not self.history.has_ended:
            self._check_supervisor()
        if self.history.has_ended:
            self.wait_for_launch()
        has_changed, self._has_changed = self._has_changed, False
        return has_changed

    def show_rows(self) -> None:
        """Show readers the rows that were there at the last poll, so that no row is ahead of the known state."""
        for log, size in zip(self.logs, self._sizes[1:], strict=False):
            log.visible_size = None if self.history.has_ended else size

    def stop(self) -> None:
        """Ask its supervisor to stop it. A supervisor that is about to start finds the request, and runs nothing."""
        # Needs no room on the disk: SIGTERM does as well. The request is written when there is room again.
        with contextlib.suppress(OSError):
            os.close(os.open(self.directory.stop_request, os.O_WRONLY | os.O_CREAT, 0o600))
        self._terminate()

    def wait_for_launch(self) -> None:
        """Wait until a supervisor that was just started has claimed the run."""
        if self._launcher:
            self._launcher.wait()
            self._launcher = None

    def move(self, directory: RunDirectory) -> None:
        """Rename its directory. A supervisor goes on in it."""
        with contextlib.suppress(FileNotFoundError):
            self.directory.path.rename(directory.path)
        self.directory = directory
        self._events.path = directory.events
        self._events.read()
        self.logs = []

    def fail(self, error: str) -> None:
        """End a run without a supervisor: kill its processes and write the error. Do nothing if it has a supervisor.

        :raises OSError: the error cannot be written
        """
        supervisor = self.history.supervisor
        if supervisor and not self.directory.events.exists():
            # The lock was removed too, so that only the process itself shows whether the supervisor is alive.
            self._terminate()
            if supervisor.is_alive():
                return
            error = FILES_REMOVED
            self._events.offset = 0  # there will be another file
        self.directory.create_empty()
        with self.directory.locked() as is_locked:
            self._events.read()  # it may have ended in the meantime
            supervisor = self.history.supervisor
            if not is_locked or self.history.has_ended or (supervisor and supervisor.is_alive()):
                return
            kill_run(supervisor, self.history.groups)
            self._was_killed = True
            self.directory.remove_spec()
            with contextlib.closing(EventWriter(self.directory.events)) as events:
                rows = [max(log.count(), LogReader(log.path).count()) for log in self.logs]
                events.write(state=State.ERROR, error=error, rows=rows)
            self._events.read()

    def _terminate(self) -> None:
        supervisor = self.history.supervisor
        if supervisor and not self._is_terminated:
            self._is_terminated = True
            if supervisor.is_alive():
                kill(supervisor.pid, signal.SIGTERM)

    def _start_supervisor(self) -> subprocess.Popen[bytes]:
        python_path = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
        errors = os.open(self.directory.supervisor_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", _SUPERVISOR_MODULE, self.directory.path.absolute()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                env={**passed_on(os.environ), **python_path},
                start_new_session=True,
            )
        finally:
            os.close(errors)

    def _check_supervisor(self) -> None:
        now = time.monotonic()
        if now < self._checked + _CHECK_INTERVAL:
            return
        self._checked = now
        exit_code = self._launcher.poll() if self._launcher else None
        if exit_code:
            self.fail(f"The process that supervises the run could not be started: {self._last_error()}")
        elif self.history.supervisor:
            self.fail(_SUPERVISOR_KILLED)
        elif exit_code == 0 and not self._events.read():
            # It was claimed, and its events were removed since.
            self.fail(FILES_REMOVED)
        if exit_code is not None and (self.history.supervisor or self.history.has_ended):
            self._launcher = None

    def _last_error(self) -> str:
        try:
            lines = self.directory.supervisor_log.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return FILES_REMOVED
        return lines[-1] if lines else "it has ended at once"


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
            self._error = error
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
        for number, written, message in self.monitor.logs[index].after(line):
            yield job, LogRow(number, written + shift, message)
        if ended_at is not None:
            last = self.monitor.history.rows[index] + 1
            if line < last:
                yield job, LogRow(last, ended_at, END_OF_LOG)


def _limit_characters(rows: Iterator[tuple[Job, LogRow]]) -> Iterator[tuple[Job, LogRow]]:
    """Yield about `MAX_CHARACTERS` of text, but all rows of the last line, so that a reader can go on after it."""
    remaining, line = MAX_CHARACTERS, 0
    for job, row in rows:
        if remaining <= 0 and row.line > line:
            return
        yield job, row
        line = row.line
        remaining -= len(row.message)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
