"""Points as they come: those after a cursor, read from the rows of the log, so that none is missed or thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from gradient_server.metrics.rows import Points, RowParser
from gradient_server.runners.base import Job, Run

MAX_ROWS = 5_000
"""How many rows of each job are read at once."""


@frozen
class MetricCursor:
    """Where a reader of points is.

    :param jobs: by the id of each job, the last line that was read and the line of the step that it belongs to
    """

    jobs: Mapping[str, tuple[int, int]] = field(factory=dict[str, tuple[int, int]])

    def __str__(self) -> str:
        """Return the cursor as text: `js1:20@18`."""
        return ",".join(f"{job}:{line}@{context}" for job, (line, context) in self.jobs.items()) or "0"

    @classmethod
    def parse(cls, text: str) -> MetricCursor:
        """Return the cursor in a text as the contract allows it.

        >>> str(MetricCursor.parse("js1:20@18,js2:7@0"))
        'js1:20@18,js2:7@0'
        """
        entries = (entry.split(":") for entry in text.split(",") if ":" in entry)
        return cls({job: (int(line), int(context)) for job, place in entries for line, context in [place.split("@")]})


@frozen(kw_only=True)
class PointsPage:
    """The points after a cursor.

    :param points: by job, in order
    :param cursor: where to go on
    :param int line: the last line of any job that was read; a table that goes on is behind the cursor
    :param bool is_full: whether more rows may be there
    :param bool is_last: whether the log has no row behind the cursor
    """

    points: Sequence[tuple[Job, Points]]
    cursor: MetricCursor
    line: int
    is_full: bool
    is_last: bool


def points_after(run: Run, start: MetricCursor, now: float) -> PointsPage:
    """Return the points after a cursor, of some rows of each job."""
    found: list[tuple[Job, Points]] = []
    places: dict[str, tuple[int, int]] = {}
    furthest, is_full, is_last = 0, False, True
    for job, last in run.last_lines(now).items():
        line, context = start.jobs.get(job.id, (0, 0))
        parser = RowParser()
        if context:
            parser.parse(run.job_rows(job, context - 1, 1, now))
        rows = run.job_rows(job, line, MAX_ROWS, now) if line < last else []
        found += [(job, points) for points in parser.parse(rows)]
        read = rows[-1].line if rows else line
        # A table that is open is read again when it has ended.
        places[job.id] = (min(parser.line, read) if rows else line, parser.context_line or context)
        is_full = is_full or len(rows) >= MAX_ROWS
        is_last = is_last and read >= last
        furthest = max(furthest, read)
    return PointsPage(points=found, cursor=MetricCursor(places), line=furthest, is_full=is_full, is_last=is_last)
