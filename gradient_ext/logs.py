"""Log rows, and the cursor that walks through them. No I/O: the cursor says what to ask and takes what came back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field, frozen
from gradient_api.constants import END_OF_LOG
from gradient_api.models import LogRow as LogRowModel

from gradient_ext.values import told, typed

FIRST_LINE = 0
DEFAULT_LIMIT = 10_000


@frozen
class LogRow:
    """One row of a log. Unpacks into `line, message, timestamp`, as it did when it was a tuple.

    :param int line: number of the row within its job, from 1
    :param str message: the text
    :param str timestamp: when it was printed, UTC, in ISO 8601
    :param str job_id: the job that printed it; None where the server does not say. Not part of the printed form.
    """

    line: int
    message: str
    timestamp: str
    job_id: str | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[int | str]:
        return iter((self.line, self.message, self.timestamp))


def rows_from(answer: Iterable[LogRowModel] | None) -> list[LogRow]:
    """Make the rows of an answer; None is the answer of a server that has nothing to say (204).

    :raises MalformedResponseError: a row has no number, no message or no time
    """
    return [
        LogRow(
            line=told("integer", row.line, "line"),
            message=told("string", row.message, "message"),
            timestamp=told("string", row.timestamp, "timestamp"),
            job_id=typed("string", row.job_id) or None,
        )
        for row in answer or ()
    ]


def is_end(row: LogRow) -> bool:
    """Say whether a row is the marker that ends the log of its job."""
    return row.message == END_OF_LOG


@frozen
class LogQuestion:
    """What to ask the server next: at most `limit` rows after `line`."""

    line: int
    limit: int


@define
class LogCursor:
    """Where a reader of the logs of one experiment is.

    The rows of all jobs come in one sequence ordered by line, and each job numbers its own rows from 1. The cursor
    keeps the last line of every job, drops what it has seen, and goes through the logs in sweeps: from the lowest line
    at which something new can appear to the end of what there is. While a sweep is under way, a job that is behind can
    print so much that its rows turn up beyond the place where the sweep is; such rows are left to the next sweep, which
    meets the ones before them first.

    :param int line: only rows after this line
    :param int limit: the most rows to ask for at once
    :param int jobs: how many jobs the experiment has; None if that is not known
    """

    line: int = FIRST_LINE
    limit: int = DEFAULT_LIMIT
    jobs: int | None = None
    caught_up: bool = field(default=False, init=False)
    """Whether the last answer was the end of what there was."""
    _question: LogQuestion = field(init=False)
    _last_lines: dict[str | None, int] = field(factory=dict, init=False)
    _ended: set[str | None] = field(factory=set, init=False)
    _left: dict[str | None, int] = field(factory=dict, init=False)
    _left_before: dict[str | None, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._question = LogQuestion(self.line, self.limit)

    @property
    def question(self) -> LogQuestion:
        """What to ask next."""
        return self._question

    @property
    def finished(self) -> bool:
        """Whether every job that the experiment has is known to have ended its log."""
        return self.jobs is not None and len(self._ended) >= self.jobs

    def take(self, page: list[LogRow]) -> list[LogRow]:
        """Take the answer to the question: return what is new in it, without end markers, and move on."""
        new = [row for row in page if self._is_new(row)]
        sweep_is_over = len(page) < self._question.limit
        self.caught_up = sweep_is_over and not self._left
        self._question = self._sweep() if sweep_is_over else self._next_page(page)
        return [row for row in new if not is_end(row)]

    def _is_new(self, row: LogRow) -> bool:
        last = self._last_lines.get(row.job_id, self.line)
        if row.line <= last:
            return False
        if last < self._question.line and row.line > self._left_before.get(row.job_id, 0):
            # Rows before this one may have come after the sweep went past them. What an earlier sweep left is taken:
            # if there were rows before it, this sweep has met them.
            self._left[row.job_id] = row.line
            return False
        self._last_lines[row.job_id] = row.line
        if is_end(row):
            self._ended.add(row.job_id)
        return True

    def _sweep(self) -> LogQuestion:
        """Start again where the job that is furthest behind is; from the start while jobs have not been heard of."""
        self._left_before, self._left = self._left, {}
        if self.jobs is None or len(self._last_lines) < self.jobs:
            return LogQuestion(self.line, self.limit)
        open_jobs = [line for job, line in self._last_lines.items() if job not in self._ended]
        return LogQuestion(min(open_jobs, default=self.line), self.limit)

    def _next_page(self, page: list[LogRow]) -> LogQuestion:
        """Go on within a sweep. A full page may have cut through rows of several jobs with the same line."""
        reached = max(row.line for row in page)
        line = reached if self.jobs == 1 else reached - 1
        if line > self._question.line:
            return LogQuestion(line, self.limit)
        # The page brought nothing beyond the question: more jobs share a line than fit, or the server counts the line
        # that was named in. A larger page always gets further.
        return LogQuestion(self._question.line, self._question.limit * 2)
