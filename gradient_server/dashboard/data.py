"""The data of the pages, read from the store and from the operations that clients call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from attrs import frozen
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES

from gradient_ext.experiments import BaseExperiment, experiment_from
from gradient_server.api.operations import Operations
from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, ApiResponse, Pending
from gradient_server.clock import Clock
from gradient_server.dashboard.charts import charts_of, compared, first_charts
from gradient_server.metrics.rows import RowParser
from gradient_server.metrics.series import Series
from gradient_server.runners.base import Artifact, ArtifactReader, Job, LogRow, Run, next_state_at, state_at
from gradient_server.store.store import Store

MAX_ROWS = 500
"""How many log rows a page shows."""
LAST_ROWS = 200
"""How many rows, and how many pushed values, of each job are searched for the last value of each metric."""

Lines = Mapping[str, int]
"""The last line of each job; 0: it has no row yet."""


class Row(NamedTuple):
    """A log row as a page shows it."""

    timestamp: datetime
    job: str
    """The name of the job."""
    line: int
    message: str


@frozen(kw_only=True)
class LogPart:
    """The rows of a log that a page shows.

    :param rows: the rows of all jobs by time, those of each job by line, without those that mark the end of a log
    :param bool has_jobs: whether the log has rows of several jobs
    :param lines: the last line of each job, end markers included
    :param int total: how many rows the log has, without end markers
    :param int page_size: how many lines of each job are on a page
    :param int after: the line that the rows follow; None: they are the last rows
    :param bool skipped: whether rows are missing between those that the page shows and these
    :param bool is_complete: whether no more rows will be printed
    """

    rows: Sequence[Row]
    has_jobs: bool
    lines: Lines
    total: int
    page_size: int
    after: int | None
    skipped: bool
    is_complete: bool


class DashboardData:
    """Reads experiments and their logs.

    :param Store store: the experiments and their runs
    :param Operations operations: the operations that clients call
    :param Clock clock: the current time
    """

    def __init__(self, store: Store, operations: Operations, clock: Clock) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._last_metrics: WeakKeyDictionary[Run, tuple[object, dict[str, float]]] = WeakKeyDictionary()
        """Of each run how far it was searched, and what was found."""

    def experiment(self, handle: str) -> BaseExperiment | None:
        """Return an experiment; None: there is no such experiment."""
        response = self._operations.get_experiment({"handle": handle}, {})
        return experiment_from(response.body["data"]) if response.status == 200 else None

    def run(self, handle: str) -> Run | None:
        """Return the run of an experiment; None: there is no such experiment."""
        found = self._store.get(handle)
        return found.run if found else None

    def artifacts(self, run: Run, limit: int) -> list[Artifact]:
        """Return the first artifacts of a run."""
        return run.artifacts("", limit, self._clock.now())

    def open_artifact(self, run: Run, name: str) -> ArtifactReader | None:
        """Open an artifact of a run; None: there is none of that name."""
        return run.open_artifact(name, self._clock.now())

    def changes(self, handle: str, state: int | None, lines: Lines | None) -> ApiResponse:
        """Return 200 where there is something that a page does not show yet, otherwise 204 and when to look again.

        The body says whether there is something new; False means that nothing will change any more. Without such an
        experiment, the response is 404.

        :param str handle: the experiment
        :param int state: the state that the page shows
        :param lines: the lines up to which the page shows the log; None: it does not show the end of the log
        """
        run = self.run(handle)
        if run is None:
            return EXPERIMENT_NOT_FOUND
        now = self._clock.now()
        # Before the comparison: a row that is printed in between is then pending, not missed.
        timestamps = [next_state_at(run.transitions, now)]
        if lines is not None:
            timestamps.append(run.next_row_at(max(lines.values(), default=0), now))
        if state_at(run.transitions, now) != state or (lines is not None and self._last_lines(run) != lines):
            return ApiResponse(200, True)
        pending = [timestamp for timestamp in timestamps if timestamp is not None]
        return ApiResponse(204, pending=Pending(handle, min(pending))) if pending else ApiResponse(200, False)

    def last_rows(self, run: Run, known: Lines | None = None) -> LogPart:
        """Return the last rows of a log, equally many of each job.

        :param Run run: the run that has the log
        :param known: the lines up to which a page shows the log; only later rows are returned
        """
        is_complete = self._has_ended(run)
        lines = self._last_lines(run)
        # A page cannot know lines beyond the end of the log.
        known = {job: line for job, line in (known or {}).items() if line <= lines.get(job, 0)}
        size = _lines_per_job(lines)
        starts = {job: max(known.get(job.id, 0), lines[job.id] - size) for job in run.jobs}
        rows = [
            (job, row)
            for job, start in starts.items()
            if start < lines[job.id]
            for row in run.job_rows(job, start, lines[job.id] - start, self._clock.now())
        ]
        skipped = any(start > known.get(job.id, 0) for job, start in starts.items())
        return self._log_part(run, rows, lines, is_complete=is_complete, skipped=skipped)

    def rows_after(self, run: Run, line: int) -> LogPart:
        """Return the rows of a log after a line."""
        is_complete = self._has_ended(run)
        lines = self._last_lines(run)
        rows = self._block(run, line, _lines_per_job(lines))
        return self._log_part(run, rows, lines, is_complete=is_complete, after=line)

    def last_metrics(self, run: Run) -> Mapping[str, float]:
        """Return the last number of each metric of a run; with several jobs, that of the first one that has it.

        Only the last rows of a log and the last values that were pushed are searched: there may be many runs with long
        logs. What was found earlier is kept.
        """
        lines, counts = self._last_lines(run), run.pushed_counts()
        searched, known = self._last_metrics.get(run, (None, {}))
        if searched != (lines, counts):
            known = {**known, **self._metrics_at_end(run, lines), **_last_pushed(run, counts)}
            self._last_metrics[run] = ((lines, counts), known)
        return known

    def _metrics_at_end(self, run: Run, lines: Lines) -> dict[str, float]:
        found: dict[str, float] = {}
        for job in run.jobs:
            series: dict[str, Series] = {}
            last: dict[str, float] = {}
            end = lines.get(job.id, 0)
            start = max(0, end - LAST_ROWS)
            for points in RowParser().parse(run.job_columns(job, start, end - start, self._clock.now())):
                series.setdefault(points.name, Series()).extend(points)
                last[points.name] = points.values[-1]
            found = {name: last[name] for name in last if series[name].is_metric} | found
        return found

    async def comparison(self, runs: Mapping[str, Run]) -> dict[str, Any]:
        """Return the charts that compare runs as JSON values, and a note on what they leave out.

        :param runs: the runs by their names
        """
        found = {name: charts_of(await self._operations.metrics.read(run)) for name, run in runs.items()}
        return first_charts(compared(found))

    async def charts(self, run: Run) -> dict[str, Any]:
        """Return the charts of a log as JSON values, and a note on what they leave out.

        Other requests have their turn while a long log is read.
        """
        return first_charts(charts_of(await self._operations.metrics.read(run)))

    def _has_ended(self, run: Run) -> bool:
        """Whether a run has ended. Ask this before the last lines: the log is complete then."""
        return state_at(run.transitions, self._clock.now()) in TERMINAL_STATES

    def _last_lines(self, run: Run) -> dict[str, int]:
        return {job.id: line for job, line in run.last_lines(self._clock.now()).items()}

    def _block(self, run: Run, start: int, size: int) -> list[tuple[Job, LogRow]]:
        """Return the rows of all jobs in some lines after a line."""
        rows = run.rows(start, size * len(run.jobs), self._clock.now())
        return [(job, row) for job, row in rows if row.line <= start + size]

    def _log_part(
        self,
        run: Run,
        rows: Sequence[tuple[Job, LogRow]],
        lines: Lines,
        *,
        is_complete: bool,
        after: int | None = None,
        skipped: bool = False,
    ) -> LogPart:
        now = self._clock.now()
        last = [row for job in run.jobs if lines[job.id] for row in run.job_rows(job, lines[job.id] - 1, 1, now)]
        printed = [
            (timestamp, Row(self._clock.date(row.timestamp), job.name, row.line, row.message))
            for timestamp, (job, row) in zip(_ascending(rows), rows, strict=True)
            if row.message != END_OF_LOG
        ]
        printed.sort(key=lambda row: row[0])
        return LogPart(
            rows=[row for _, row in printed],
            has_jobs=len(run.jobs) > 1,
            lines=lines,
            total=sum(lines.values()) - sum(row.message == END_OF_LOG for row in last),
            page_size=_lines_per_job(lines),
            after=after,
            skipped=skipped,
            is_complete=is_complete,
        )


def _last_pushed(run: Run, counts: Mapping[Job, int]) -> dict[str, float]:
    found: dict[str, float] = {}
    for job, count in counts.items():
        values = run.pushed_values(job, max(0, count - LAST_ROWS), LAST_ROWS)
        found = {pushed.name: pushed.value for pushed in values} | found
    return found


def _ascending(rows: Sequence[tuple[Job, LogRow]]) -> Iterator[float]:
    """Return timestamps that never go back within a job, also where the clock of the machine was set back."""
    latest: dict[str, float] = {}
    for job, row in rows:
        latest[job.id] = max(row.timestamp, latest.get(job.id, row.timestamp))
        yield latest[job.id]


def _lines_per_job(lines: Lines) -> int:
    return max(1, MAX_ROWS // max(1, len(lines)))


def format_lines(lines: Lines) -> str:
    """Return the last line of each job as text.

    >>> format_lines({"js1": 20, "js2": 18}), parse_lines("js1:20,js2:18")
    ('js1:20,js2:18', {'js1': 20, 'js2': 18})
    """
    return ",".join(f"{job}:{line}" for job, line in lines.items())


def parse_lines(text: str) -> dict[str, int]:
    """Return the lines in a text that `format_lines` wrote, without what cannot be one."""
    parts = (part.rpartition(":") for part in text.split(","))
    return {job: int(line) for job, _, line in parts if line.isascii() and line.isdecimal() and len(line) < 16}
