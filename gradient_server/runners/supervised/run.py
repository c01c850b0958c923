"""A run whose commands are processes, as the server sees it: its states, its rows, and what is asked of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from itertools import islice, repeat

from attrs import evolve
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import (
    Artifact,
    ArtifactReader,
    DiskUsage,
    Job,
    LogColumns,
    LogRow,
    PushedValue,
    Removal,
    Run,
    RunRecord,
    Transitions,
)
from gradient_server.runners.machine_types import Claim, Request
from gradient_server.runners.supervised.artifact_files import ArtifactFolder, list_artifacts, open_artifact
from gradient_server.runners.supervised.deletion import disk_usage
from gradient_server.runners.supervised.exposition import decode
from gradient_server.runners.supervised.log_file import LOST_ROW, Columns, LogReader
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.run_files import error_text

MAX_CHARACTERS = 2**25
"""Text that is returned at once. The server has it in memory several times; the rows of a dashboard page fit in."""


class Phase(Enum):
    """The part of its life that a run is in."""

    NEW = "not started"
    QUEUED = "waits for a slot"
    ACTIVE = "is monitored"
    ENDED = "has ended"


class SupervisedRun(Run):
    """A run that a supervisor executes. It keeps what is known of it; the scheduler acts on it.

    :param lock: is held while the phase changes
    :param on_request: receives the run, while the lock is held, when the scheduler has to act on it
    :param recorded: what the store knows of it; None: nothing
    :param record: has the store keep a record; raises an OSError if that is impossible
    """

    def __init__(
        self,
        handle: str,
        jobs: tuple[Job, ...],
        monitor: RunMonitor,
        clock: Clock,
        lock: AbstractContextManager[object],
        on_request: Callable[[SupervisedRun], object],
        *,
        recorded: RunRecord | None,
        record: Callable[[str, RunRecord], object],
    ) -> None:
        self.handle = handle
        self.jobs = jobs
        self.monitor = monitor
        self.phase = Phase.ENDED if recorded and recorded.has_ended else Phase.NEW
        self.started: float | None = None
        self.is_to_stop = False
        self.is_deleted = False
        self.is_recorded = True
        """Whether the store keeps all that clients see of it."""
        self.ignored: str | None = None
        """Which parameters of the experiment are not used, in words."""
        self.request = Request()
        """The resources of the machine that it needs."""
        self.asks_for: str | None = None
        """The machines that it asks a cluster for, which has one run at a time wait that asks for such; None: it waits
        in the cluster with all others."""
        self.problem: str | None = None
        """Why it cannot be run any more, although it was started."""
        self.waits_for: str | None = None
        """Why it is in the queue, in words."""
        self.artifact_folders: Sequence[ArtifactFolder] = ()
        self._clock = clock
        # Converts times since the epoch to timestamps of the server, so that rows have the same date in each server.
        self._shift = -clock.date(0.0).timestamp()
        self._lock = lock
        self._on_request = on_request
        self.recorded = recorded
        self._record = record
        # All that clients see, in one object that is replaced as a whole, because several threads read it.
        self._seen = recorded or RunRecord(launched=False)
        self._known_states = max(0, len(self._seen.transitions) - 1)

    @property
    def remark(self) -> str | None:
        """Which parameters are not used, what it waits for, where its nodes run or ran, and which GPUs they have."""
        history, names = self.monitor.history, [job.name for job in self.jobs]
        place = " ".join(
            filter(None, (history.describe_machines(names), (history.claim or Claim()).describe_gpus(names)))
        )
        waits_for = self.waits_for if self.phase is Phase.QUEUED else self.monitor.waits_for
        return " ".join(filter(None, (self.ignored, place if history.states else None, waits_for))) or None

    @property
    def transitions(self) -> Transitions:
        """Every state that it has entered; future ones are never known."""
        return self._seen.transitions

    def error(self, now: float) -> str | None:
        """Return what went wrong."""
        return self._seen.error

    def exit_code(self, now: float) -> int | None:
        """Return that of the first node that failed, or 0."""
        return self._seen.exit_code

    @property
    def removal(self) -> Removal:
        """How far the removal of its directory has come."""
        return self.monitor.directory.removal

    def disk_usage(self) -> DiskUsage:
        """Return the space that its directory takes."""
        return disk_usage(self.monitor.directory.path)

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Return rows of all jobs from their files, about `MAX_CHARACTERS` of text at most."""
        ended_at = self._ended_at(now)
        jobs = self.jobs[: len(self._logs)]
        logs = [zip(repeat(job), self._rows_after(i, line, ended_at), strict=False) for i, job in enumerate(jobs)]
        rows = heapq.merge(*logs, key=lambda row: row[1].line) if len(logs) > 1 else logs[0] if logs else iter(())
        return list(islice(_limit_characters(rows), limit))

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Return rows of a job from its file, about `MAX_CHARACTERS` of text at most."""
        rows = self.job_columns(job, line, limit, now)
        return list(map(LogRow, range(line + 1, rows.last + 1), rows.timestamps, rows.messages))

    def job_columns(self, job: Job, line: int, limit: int, now: float) -> LogColumns:
        """Return rows of a job from its file, about `MAX_CHARACTERS` of text at most."""
        index, remaining = self.jobs.index(job), MAX_CHARACTERS
        timestamps, messages = list[float](), list[str]()
        if index < len(self._logs):
            for times, texts in self._columns_after(index, line, self._ended_at(now)):
                timestamps += times
                messages += texts
                remaining -= sum(map(len, texts))
                if remaining <= 0 or len(messages) >= limit:
                    break
        return LogColumns(line, timestamps[:limit], messages[:limit])

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Return the last lines, from the events if it has ended and from the files otherwise."""
        if self._logs and self._ended_at(now) is not None:
            counts = [count + len(self._ending(index)) for index, count in enumerate(self._seen.rows)]
        else:
            counts = [log.count() for log in self._logs]
        return dict(zip(self.jobs, counts or [0] * len(self.jobs), strict=True))

    def pushed_counts(self) -> Mapping[Job, int]:
        """Return the counts in the files of the push gateway."""
        readers = self.monitor.pushed if self._logs else ()
        return {job: reader.count() for job, reader in zip(self.jobs, readers, strict=False)}

    def pushed_values(self, job: Job, number: int, limit: int) -> list[PushedValue]:
        """Return values from the file of the push gateway, without those that are damaged."""
        # There are none any more once the run is deleted.
        reader = next(iter(self.monitor.pushed[self.jobs.index(job) :]), None)
        rows = islice(reader.after(number), limit) if reader else ()
        decoded = (decode(count, written + self._shift, text) for count, written, text in rows)
        return [value for value in decoded if value]

    def next_row_at(self, line: int, now: float) -> float | None:
        """Return now or infinity: future rows are never known."""
        if self._seen.has_ended:
            timestamp = self._seen.transitions[-1][0]
            return None if timestamp <= now else timestamp
        return now if any(log.count() > line for log in self._logs) else math.inf

    def artifacts(self, after: str, limit: int, now: float) -> list[Artifact]:
        """Return the files in its artifact directory and its model path."""
        if not self._seen.launched:
            return []
        found = list_artifacts(self.artifact_folders, after, limit)
        return [each._replace(modified=each.modified + self._shift) for each in found]

    def open_artifact(self, name: str, now: float) -> ArtifactReader | None:
        """Open one of these files."""
        return open_artifact(self.artifact_folders, name) if self._seen.launched else None

    def start(self, timestamp: float) -> None:
        """Append it to the queue."""
        with self._lock:
            if not self._seen.transitions:
                self._seen = self._after((timestamp, State.PENDING))
            self.started = timestamp
            self.phase = Phase.QUEUED
            self._on_request(self)

    def stop(self, timestamp: float) -> None:
        """Take it out of the queue, or have it stopped."""
        with self._lock:
            if self.phase in (Phase.NEW, Phase.QUEUED):
                self.phase = Phase.ENDED
                self._seen = self._after((timestamp, State.CANCELLED))
            self.is_to_stop = True
            self._on_request(self)

    def delete(self) -> None:
        """Have it stopped and removed."""
        with self._lock:
            self.is_deleted = self.is_to_stop = True
            self._on_request(self)

    def record_launch(self) -> bool:
        """Have the store keep that it is launched, before it is. Return whether it may be.

        :raises OSError: that cannot be kept
        """
        with self._lock:
            if self.is_deleted:
                return False
            launched = evolve(self._seen, launched=True)
            self._record(self.handle, launched)
            self._seen = launched
            return True

    def wait_again(self) -> None:
        """Take it back into the queue; end it if it was stopped in the meantime."""
        with self._lock:
            self.phase = Phase.QUEUED
            if self.is_to_stop:
                self.stop(self._clock.timestamp())

    def update(self) -> None:
        """Take over what the monitor has read; what a run that has ended shows does not change any more."""
        history = self.monitor.history
        with self._lock:
            now, known = self._clock.now(), self._known_states
            if history.has_ended:
                known = min(known, len(history.states) - 1)  # its end counts, even if earlier events were removed
            new = [(min(at + self._shift, now), state) for at, state in history.states[known:]]
            if new and self.phase is not Phase.ENDED:
                record = evolve(self._after(*new), launched=True)
                if history.has_ended:
                    record = evolve(record, error=history.error, failed=history.failed, rows=history.rows)
                    record = evolve(record, exit_code=history.exit_code)
                self._show(record)
                self._known_states = len(history.states)
            # Last, so that nobody sees a row of a run that does not run yet.
            self.monitor.show_rows()

    def fail(self, error: str) -> bool:
        """End it with an error that is not among its events.

        Return False, and do nothing, if that cannot be recorded, and the next server would start the run.
        """
        with self._lock:
            if self.phase is Phase.ENDED:
                return True
            for log in self._logs:
                log.visible_size = None
            rows = [log.count() for log in self._logs] or [0] * len(self.jobs)
            record = self._after((self._clock.timestamp(), State.ERROR))
            return self._show(evolve(record, error=error_text(error), rows=rows))

    def record_again(self) -> None:
        """Have the store keep what it could not keep before."""
        with self._lock:
            self.is_recorded = self._try_to_record(self._seen)

    @property
    def _logs(self) -> Sequence[LogReader]:
        # Before its first event, the files can only be those of another run that had the same handle.
        return self.monitor.logs if self._known_states or self._seen.rows else ()

    def _after(self, *entered: tuple[float, int]) -> RunRecord:
        """Return what clients see after it has entered some states."""
        transitions = list(self._seen.transitions)
        for timestamp, state in entered:
            # Timestamps never decrease, even if the clock of the machine does.
            latest = transitions[-1][0] if transitions else -math.inf
            transitions.append((max(timestamp, latest), state))
        return evolve(self._seen, transitions=transitions)

    def _show(self, record: RunRecord) -> bool:
        """Have the store keep a record, and show it to clients then. Return whether it is shown.

        A launched run is shown as it is even if the disk is full: a server that does not find the record does not
        execute it again. One that was not launched would be executed.
        """
        self.is_recorded = self._try_to_record(record)
        if not self.is_recorded and record.launched is False:
            return False
        if record.has_ended:
            self.phase = Phase.ENDED
        self._seen = record
        return True

    def _try_to_record(self, record: RunRecord) -> bool:
        # The handle of a run that is deleted may be that of another one by now.
        if not self.is_deleted:
            try:
                self._record(self.handle, record)
            except OSError:
                return False
        return True

    def _ended_at(self, now: float) -> float | None:
        """Return when its logs have ended; None: they have not, or have no end marker, as of a run that never ran."""
        if not self._seen.has_ended or not self._seen.rows:
            return None
        timestamp = self._seen.transitions[-1][0]
        return timestamp if timestamp <= now else None

    def _rows_after(self, index: int, line: int, ended_at: float | None) -> Iterator[LogRow]:
        for times, messages in self._columns_after(index, line, ended_at):
            yield from map(LogRow, range(line + 1, line + 1 + len(times)), times, messages)
            line += len(times)

    def _columns_after(self, index: int, line: int, ended_at: float | None) -> Iterator[Columns]:
        """Yield the rows of a job after a line, a few at a time."""
        shift, number = self._shift, line
        last = None if ended_at is None else self._seen.rows[index]
        for times, messages in self.monitor.logs[index].columns_after(line):
            end = len(times) if last is None else last - number
            if end <= 0:
                break
            yield [written + shift for written in times[:end]], messages[:end]
            number += len(times)
        if ended_at is not None and last is not None:
            # The file may be cut off; readers rely on lines without gaps.
            for _ in range(number, last):
                yield [ended_at], [LOST_ROW]
            if ending := self._ending(index)[max(0, line - last) :]:
                yield [ended_at] * len(ending), ending

    def _ending(self, index: int) -> list[str]:
        """Return the rows that follow those that a job has printed, once the run has ended."""
        error = self._seen.error
        return [" ".join(error.splitlines()), END_OF_LOG] if error and index == self._seen.failed else [END_OF_LOG]


def _limit_characters(rows: Iterator[tuple[Job, LogRow]]) -> Iterator[tuple[Job, LogRow]]:
    """Yield about `MAX_CHARACTERS` of text, but all rows of the last line, so that a reader can go on after it."""
    remaining, line = MAX_CHARACTERS, 0
    for job, row in rows:
        if remaining <= 0 and row.line > line:
            return
        yield job, row
        line = row.line
        remaining -= len(row.message)
