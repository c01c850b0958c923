"""The metrics of runs. Of each run, only rows are read that are new since the last time."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from gradient_server.clock import Clock
from gradient_server.metrics.rows import Points, RowParser
from gradient_server.metrics.series import Series, pushed_points
from gradient_server.metrics.stream import MetricCursor, Place, PointsPage, points_after
from gradient_server.runners.base import Job, Run

MAX_NAMES = 200
"""How many different metrics are kept of those that a run prints, and of those that it pushes."""
_MAX_RUNS = 32
"""The metrics of how many runs are kept in memory; those of others are read again when they are asked for."""
_Series = dict[str, dict[Job, Series]]
_ROWS_AT_ONCE = 2_000
"""As many as the caches of a processor hold."""
_READS_AT_ONCE = 5
"""After how many reads other runs have their turn."""
_MAX_KEPT = 1_000_000
"""How many points of all runs are kept in memory, unless one run alone has more."""
# One thread: several would keep each other and the event loop waiting for the interpreter.
_READING = ThreadPoolExecutor(1, "gradient_server metrics")


class RunMetrics:
    """The metrics of one run, as far as its log was read."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._parsers = {job: RowParser() for job in run.jobs}
        self._lines = dict.fromkeys(run.jobs, 0)
        self._pushed_numbers = dict.fromkeys(run.jobs, 0)
        self._printed: _Series = {}
        self._pushed: _Series = {}

    @property
    def cursor(self) -> MetricCursor:
        """Where a reader goes on who has these points."""
        return MetricCursor(
            {
                job.id: Place(parser.line, parser.context_line, self._pushed_numbers[job])
                for job, parser in self._parsers.items()
            }
        )

    @property
    def point_count(self) -> int:
        """How many points are kept."""
        return sum(len(series) for found in (self._printed, self._pushed) for series in _all(found))

    def advance(self, now: float) -> bool:
        """Read some rows that are new, and return whether there may be more."""
        read = 0
        for job, last in self.run.last_lines(now).items():
            if last <= self._lines[job]:
                continue
            rows = self.run.job_columns(job, self._lines[job], _ROWS_AT_ONCE, now)
            read += len(rows.messages)
            self._lines[job] = rows.last
            _add(self._printed, job, self._parsers[job].parse(rows))
        for job, count in self.run.pushed_counts().items():
            number = self._pushed_numbers[job]
            if count > number and (values := self.run.pushed_values(job, number, _ROWS_AT_ONCE)):
                read += len(values)
                self._pushed_numbers[job] = values[-1].number
                _add(self._pushed, job, pushed_points(values))
        return read > 0

    def advance_more(self, now: float) -> bool:
        """Read more rows that are new, and return whether there may be others."""
        return all(self.advance(now) for _ in range(_READS_AT_ONCE))

    def series(self) -> Iterator[tuple[str, Job, Series]]:
        """Yield the series of all metrics: name, job and points."""
        for name in list({**self._printed, **self._pushed}):
            for job in self.run.jobs:
                if series := self.find(name, job):
                    yield name, job, series

    def find(self, name: str, job: Job) -> Series | None:
        """Return the series of one metric of one job; None: there is none, or its numbers measure nothing.

        What a job pushes takes the place of what it prints under the same name.
        """
        if pushed := self._pushed.get(name, {}).get(job):
            return pushed
        printed = self._printed.get(name, {})
        return printed.get(job) if any(series.is_metric for series in list(printed.values())) else None


def _add(found: _Series, job: Job, added: Iterable[Points]) -> None:
    for points in added:
        if points.name in found or len(found) < MAX_NAMES:
            found.setdefault(points.name, {}).setdefault(job, Series()).extend(points)


def _all(found: _Series) -> Iterator[Series]:
    return itertools.chain.from_iterable(jobs.values() for jobs in found.values())


class MetricIndex:
    """The metrics of the runs that were asked for last.

    :param Clock clock: the current time
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: OrderedDict[int, RunMetrics] = OrderedDict()

    async def read(self, run: Run) -> RunMetrics:
        """Return the metrics of a run up to its last row. Other requests have their turn meanwhile."""
        found = self._runs.setdefault(id(run), RunMetrics(run))
        self._runs.move_to_end(id(run))
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(_READING, found.advance_more, self._clock.now()):
            pass
        while len(self._runs) > _MAX_RUNS or (
            len(self._runs) > 1 and sum(known.point_count for known in self._runs.values()) > _MAX_KEPT
        ):
            self._runs.popitem(last=False)
        return found

    async def read_after(self, metrics: RunMetrics, start: MetricCursor) -> PointsPage:
        """Return points after a cursor, from some rows of each job of a run."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_READING, points_after, metrics.run, start, self._clock.now())
