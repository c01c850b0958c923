"""Points as they come: those after a cursor, read from what is kept of a run, so that none is missed or thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from attrs import field, frozen

from gradient_server.metrics.rows import Points, RowParser
from gradient_server.metrics.series import pushed_points
from gradient_server.runners.base import Job, Run

MAX_ROWS = 5_000
"""How many rows and how many pushed values of each job are read at once."""


class Place(NamedTuple):
    """How far a reader has read the metrics of a job."""

    line: int = 0
    """The last line of its log."""
    context: int = 0
    """The line of the step that the rows after it belong to; 0: there is none."""
    pushed: int = 0
    """The number of the last value that it has pushed."""


@frozen
class MetricCursor:
    """Where a reader of points is.

    :param jobs: by the id of each job, how far it was read
    """

    jobs: Mapping[str, Place] = field(factory=dict[str, Place])

    def __str__(self) -> str:
        """Return the cursor as text: `js1:20:18:0`."""
        return ",".join(":".join(map(str, (job, *place))) for job, place in self.jobs.items()) or "0"

    @classmethod
    def parse(cls, text: str) -> MetricCursor:
        """Return the cursor in a text as the contract allows it.

        >>> str(MetricCursor.parse("js1:20:18:0,js2:7:0:3"))
        'js1:20:18:0,js2:7:0:3'
        """
        entries = (entry.split(":") for entry in text.split(",") if ":" in entry)
        return cls({job: Place(*map(int, place)) for job, *place in entries})


@frozen(kw_only=True)
class PointsPage:
    """The points after a cursor.

    :param points: by job, in order
    :param cursor: where to go on
    :param int line: the last line of any job that was read; a table that goes on is behind the cursor
    :param bool is_last: whether there was nothing more to read
    """

    points: Sequence[tuple[Job, Points]]
    cursor: MetricCursor
    line: int
    is_last: bool


def points_after(run: Run, start: MetricCursor, now: float) -> PointsPage:
    """Return the points after a cursor, of some rows of each job."""
    found: list[tuple[Job, Points]] = []
    places: dict[str, Place] = {}
    furthest, is_last = 0, True
    pushed_counts = run.pushed_counts()
    for job, last in run.last_lines(now).items():
        line, context, number = start.jobs.get(job.id, Place())
        parser = RowParser()
        if context:
            parser.parse(run.job_columns(job, context - 1, 1, now))
        rows = run.job_columns(job, line, MAX_ROWS if line < last else 0, now)
        found += [(job, points) for points in parser.parse(rows)]
        count = pushed_counts.get(job, 0)
        pushed = run.pushed_values(job, number, MAX_ROWS) if number < count else []
        found += [(job, points) for points in pushed_points(pushed)]
        pushed_to = pushed[-1].number if pushed else number
        # A table that is open is read again when it has ended.
        end = parser.line if rows.messages else line
        places[job.id] = Place(end, parser.context_line or context, pushed_to)
        is_last = is_last and rows.last >= last and pushed_to >= count
        furthest = max(furthest, rows.last)
    return PointsPage(points=found, cursor=MetricCursor(places), line=furthest, is_last=is_last)
