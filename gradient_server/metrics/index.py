"""The metrics of runs. Of each run, only rows are read that are new since the last time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from gradient_server.clock import Clock
from gradient_server.metrics.rows import RowParser
from gradient_server.metrics.series import Series
from gradient_server.metrics.stream import MetricCursor, PointsPage, points_after
from gradient_server.runners.base import Job, Run

MAX_NAMES = 200
"""How many different metrics are kept of a run."""
_MAX_RUNS = 32
"""The metrics of how many runs are kept in memory; those of others are read again when they are asked for."""
_ROWS_AT_ONCE = 10_000
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
        self._series: dict[str, dict[Job, Series]] = {}

    @property
    def cursor(self) -> MetricCursor:
        """Where a reader goes on who has these points."""
        return MetricCursor(
            {job.id: (parser.line, parser.context_line) for job, parser in self._parsers.items() if parser.line}
        )

    @property
    def point_count(self) -> int:
        """How many points are kept."""
        return sum(len(series) for jobs in self._series.values() for series in jobs.values())

    def advance(self, now: float) -> bool:
        """Read some rows that are new, and return whether there may be more."""
        read = 0
        for job, last in self.run.last_lines(now).items():
            if last <= self._lines[job]:
                continue
            rows = self.run.job_rows(job, self._lines[job], _ROWS_AT_ONCE, now)
            if not rows:
                continue
            read += len(rows)
            self._lines[job] = rows[-1].line
            for points in self._parsers[job].parse(rows):
                if points.name in self._series or len(self._series) < MAX_NAMES:
                    self._series.setdefault(points.name, {}).setdefault(job, Series()).extend(points)
        return read > 0

    def series(self) -> Iterator[tuple[str, Job, Series]]:
        """Yield the series of all metrics: name, job and points."""
        for name, jobs in list(self._series.items()):
            if self.is_metric(name):
                for job in self.run.jobs:
                    if job in jobs:
                        yield name, job, jobs[job]

    def find(self, name: str, job: Job) -> Series | None:
        """Return the series of one metric of one job; None: there is none."""
        return self._series.get(name, {}).get(job)

    def is_metric(self, name: str) -> bool:
        """Whether the numbers with a name measure something."""
        return any(series.is_metric for series in list(self._series[name].values()))


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
        while await loop.run_in_executor(_READING, found.advance, self._clock.now()):
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
