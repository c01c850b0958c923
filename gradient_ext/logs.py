"""Log rows, and the cursors that page through them. No I/O: a cursor names the next query and takes its page."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from attrs import asdict, define, field, fields, frozen
from gradient_api.constants import END_OF_LOG
from gradient_api.experiment_fields import LOG_ROW_FIELDS

from gradient_ext import LazyModule, public
from gradient_ext._json import EXACT_TYPES, as_array, as_object, coerce, require
from gradient_ext.config import DEFAULT_LIMIT, FIRST_LINE
from gradient_ext.display.tables import Cell, Column, DisplayedList, Table
from gradient_ext.errors import InvalidParametersError
from gradient_ext.parameters import check_whole
from gradient_ext.redaction import escape_control_characters, redact

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display import dataframes
else:
    pandas, dataframes = map(LazyModule, ("pandas", "gradient_ext.display.dataframes"))

_by_line = attrgetter("line")


@public
@frozen
class LogRow:
    """One row of a log. Unpacks into `line, message, timestamp`, as the historical client's tuple did.

    >>> line, message, timestamp = LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")
    >>> message
    'step 1/3'

    :param int line: number of the row within its job, from 1
    :param str message: the text
    :param str timestamp: when it was printed, UTC, in ISO 8601
    :param str job_id: the job that printed it; None if the server does not say. Not part of the repr.
    :param str node: its node, such as "worker 0"; None if the server does not say. Not part of the repr.
    """

    line: int
    message: str
    timestamp: str
    job_id: str | None = field(default=None, repr=False)
    node: str | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[int | str]:
        return iter((self.line, self.message, self.timestamp))

    def to_dict(self) -> dict[str, object]:
        """Return its attributes as a dictionary that can be written as JSON.

        >>> LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z", "js1").to_dict()
        {'line': 1, 'message': 'step 1/3', 'timestamp': '2019-08-06T17:21:18.528Z', 'job_id': 'js1', 'node': None}
        """
        return asdict(self)


@public
class LogRows(DisplayedList[LogRow]):
    """A list of log rows, as `ExperimentsClient.logs()` returns it; from `yield_logs()` make one with `LogRows(...)`.

    It is a list in every way. Notebooks show it as a table; `show()` prints one. Passwords in addresses are masked in
    both, and are in the messages themselves as they were logged.

    >>> print(LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")]).pretty())
    line  timestamp                 message
       1  2019-08-06T17:21:18.528Z  step 1/3
    """

    __slots__ = ()

    def to_dict(self) -> list[dict[str, object]]:
        """Return the dictionary of each row, in a list that can be written as JSON.

        >>> [row["message"] for row in LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")]).to_dict()]
        ['step 1/3']

        :returns: the `to_dict()` of each row
        :rtype: list of dict
        """
        return [row.to_dict() for row in self]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a DataFrame with one row for each log row. pandas has to be installed.

        The columns are `line` (int64), `message` (string), `timestamp` (datetime64[ns, UTC]), `job_id` and `node`
        (string). A timestamp that cannot be read is `NaT`.

        >>> LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")]).to_dataframe()[["line", "message"]]
           line   message
        0     1  step 1/3

        :returns: the DataFrame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        return dataframes.log_dataframe(self.to_dict(), [each.name for each in fields(LogRow)])

    def _table(self, max_rows: int | None = None) -> Table:
        # Of many rows the first and the last ones: logs end with what matters.
        is_cut = max_rows is not None and len(self) > max_rows
        half = (max_rows or 0) // 2
        first, last = (self[:half], self[-half:]) if is_cut else (self, self[:0])
        has_jobs = len({row.job_id for row in self}) > 1
        job = (Column("node"),) if has_jobs else ()
        return Table(
            caption=f"{len(self) or 'no'} log row{'' if len(self) == 1 else 's'}",
            columns=(*job, Column("line", is_number=True), Column("timestamp"), Column("message", wraps=True)),
            rows=tuple(_cells(row)[0 if has_jobs else 1 :] for row in (*first, *last)),
            left_out=len(self) - len(first) - len(last),
            left_out_after=len(first),
        )


def _cells(row: LogRow) -> tuple[Cell, ...]:
    node = row.node or row.job_id or ""
    job, timestamp = (escape_control_characters(redact(text)) for text in (node, row.timestamp))
    message = escape_control_characters(redact(row.message), multiline=True)
    return Cell(job), Cell(str(row.line)), Cell(timestamp), Cell(message)


class _Column(NamedTuple):
    name: str
    json_type: str
    required: bool


_BY_ATTRIBUTE = {each.name: _Column(each.outer_name or "", each.json_type, each.required) for each in LOG_ROW_FIELDS}
_COLUMNS = [_BY_ATTRIBUTE[attribute.name] for attribute in fields(LogRow)]


def rows_from(answer: object) -> list[LogRow]:
    """Return the rows of an answer; an answer without a body (204) has none.

    A page can have very many rows, so it is read column by column; only a column with a missing value or a value of
    another type is read value by value.

    :param answer: the rows as they are in JSON, or None

    :raises TypeError: the answer is no array of objects
    :raises KeyError: a row has no line, message or timestamp
    :raises ValueError: a value cannot be coerced to its type
    """
    page: list[Any] = [] if answer is None else as_array(answer)
    try:
        columns = [[row.get(column.name) for row in page] for column in _COLUMNS]
    except AttributeError:
        columns = []
    if not columns or not all(map(_is_exact, _COLUMNS, columns)):
        columns = [list(values) for values in zip(*map(_row_values, page), strict=True)]
    lines, messages, timestamps, jobs, nodes = columns
    return list(map(LogRow, lines, messages, timestamps, [job or None for job in jobs], nodes))


def _is_exact(column: _Column, values: list[Any]) -> bool:
    types = set(map(type, values))
    if not column.required:
        types.discard(type(None))
    return types <= {EXACT_TYPES[column.json_type]}


def _row_values(row: object) -> list[Any]:
    found = as_object(row)
    return [
        require(column.json_type, found[column.name], column.name)
        if column.required
        else coerce(column.json_type, found.get(column.name))
        for column in _COLUMNS
    ]


def without_end_markers(rows: Iterable[LogRow]) -> list[LogRow]:
    """Return the rows without the markers that end the logs of jobs."""
    return [row for row in rows if row.message != END_OF_LOG]


@frozen
class LogRange:
    """At most `limit` rows after `line`."""

    line: int
    limit: int


def checked_range(line: int, limit: int, method: str) -> LogRange:
    """Return the rows that a caller asks for.

    :raises InvalidParametersError: the line is less than 0, or the limit less than 1
    """
    check_whole("line", line, method, minimum=0)
    check_whole("limit", limit, method, minimum=1)
    return LogRange(line, limit)


@frozen
class LogPosition:
    """Where a reader of logs is.

    :param int line: the last line that it has of any job that `jobs` does not name
    :param jobs: the last line that it has of each job
    """

    line: int = FIRST_LINE
    jobs: Mapping[str, int] = field(factory=dict[str, int])

    def __str__(self) -> str:
        """Return the cursor: text from which `yield_logs(after=...)` goes on.

        >>> str(LogPosition(0, {"js1": 12, "js2": 7})), str(LogPosition(3))
        ('js1:12,js2:7', '3')
        """
        entries = [f"{job}:{line}" for job, line in self.jobs.items()]
        return ",".join(entries if entries and not self.line else [str(self.line), *entries])

    @classmethod
    def parse(cls, cursor: str) -> LogPosition:
        """Return the position of a cursor.

        >>> LogPosition.parse("3,js1:12")
        LogPosition(line=3, jobs={'js1': 12})

        :raises ValueError: it is no cursor
        """
        named = {job: _whole(line) for job, _, line in (entry.rpartition(":") for entry in cursor.split(","))}
        return cls(named.pop("", FIRST_LINE), named)

    @classmethod
    def after(cls, rows: Iterable[LogRow]) -> LogPosition:
        """Return the position of a reader who has these rows and all before them."""
        last: dict[str, int] = {}
        for row in rows:
            last[row.job_id or ""] = max(row.line, last.get(row.job_id or "", FIRST_LINE))
        return cls(last.pop("", FIRST_LINE), last)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{text!r} is no line")
    return int(text)


def checked_tail(tail: int, line: int, method: str) -> int:
    """Return how many of the last rows a caller asks for.

    :raises InvalidParametersError: less than 1, or a line is given as well
    """
    check_whole("tail", tail, method, minimum=1)
    if line != FIRST_LINE:
        raise InvalidParametersError(method, ["tail: give either line or tail"])
    return tail


def checked_position(line: int, after: object, method: str) -> LogPosition:
    """Return where a caller wants to begin: after a line, or after a cursor, a row or rows.

    :raises InvalidParametersError: it is none of these, or both are given
    """
    check_whole("line", line, method, minimum=0)
    if after is None:
        return LogPosition(line)
    if line != FIRST_LINE:
        raise InvalidParametersError(method, ["after: give either line or after"])
    try:
        if isinstance(after, str):
            return LogPosition.parse(after)
        rows = [after] if isinstance(after, LogRow) else list(cast("Iterable[object]", after))
        if all(isinstance(row, LogRow) for row in rows):
            return LogPosition.after(cast("list[LogRow]", rows))
    except (ValueError, TypeError):
        pass  # no cursor, or nothing that has rows
    problem = f"after: must be a cursor such as 'js1:12', a LogRow or a list of them, not {after!r:.60}"
    raise InvalidParametersError(method, [problem])


_GAP_CONFIRMATIONS = 5
"""How often a gap has to be seen before the rows behind it are taken: missing rows may still arrive."""
_LARGEST_LIMIT = 2**31 - 1


@define
class _JobPosition:
    """The position of the cursor in the log of one job; a few numbers, however long the log is."""

    last: int
    """The last line that was taken."""
    next_after: int = field(init=False)
    """The line to query after: the last one, unless a gap is skipped."""
    ended: bool = False
    advanced: bool = False
    """Whether this pass brought rows of the job."""
    checked: bool = False
    """Whether this pass found that nothing follows the last line yet."""
    beyond_gap: int = 0
    """The last line that was seen behind a gap."""
    sees_gap: bool = False
    """Whether the last page had lines behind a gap."""
    gap_confirmations: int = 0
    """How often the server was asked for the missing lines and did not have them."""
    skip_until: int = 0
    """The line up to which missing lines are skipped."""

    def __attrs_post_init__(self) -> None:
        self.next_after = self.last

    def accept(self, row: LogRow) -> bool:
        """Advance to a row if it is the next one; return False for a known row and for one behind a gap."""
        if row.line <= self.last:
            return False
        if row.line > self.last + 1 and row.line > self.skip_until:
            self.beyond_gap = max(self.beyond_gap, row.line)
            self.sees_gap = True
            return False
        self.advance_to(row.line, ends=row.message == END_OF_LOG)
        return True

    def continues_with(self, rows: Sequence[LogRow]) -> bool:
        """Whether rows are exactly the next ones."""
        expected = range(self.last + 1, self.last + 1 + len(rows))
        return [row.line for row in rows] == list(expected)

    def advance_to(self, line: int, *, ends: bool) -> None:
        """Record that all rows up to a line were taken, and whether the log has ended by then."""
        self.last = self.next_after = line
        self.advanced = True
        self.gap_confirmations = 0
        self.ended = self.ended or ends

    def check(self, after: int, complete_until: float) -> bool:
        """Record that a page after one line was complete up to another line; return whether that is progress."""
        if self.checked or not after <= self.next_after < complete_until:
            return False
        if self.next_after < self.skip_until:
            self.next_after = int(min(complete_until, self.skip_until))
            return True
        self.checked = True
        # A page that reaches as far as the lines behind the gap, and lacks them too, confirms nothing.
        if self.beyond_gap > self.last and (self.sees_gap or complete_until < self.beyond_gap):
            self.gap_confirmations += 1
            if self.gap_confirmations >= _GAP_CONFIRMATIONS:
                self.skip_until, self.checked, self.gap_confirmations = self.beyond_gap, False, 0
        return True

    def start_pass(self) -> None:
        """Query after the last line again."""
        self.next_after = self.last
        self.checked = self.advanced = False
        self.skip_until = 0


@define
class LogCursor:
    """The position of a reader in the logs of one experiment.

    The rows of all jobs come in one sequence ordered by line, and each job numbers its own rows from 1, without gaps.
    The cursor takes of every job the row that follows its last one, and nothing else. Rows behind a gap are left until
    the missing ones have come: a job that was behind has printed them meanwhile, or pages came out of order. A server
    that shows the same gap again and again does not have the missing rows.

    The cursor reads in passes: it queries what follows the last line of the job that is furthest behind, then of the
    next one, until it has reached the end of what there is. A job that is behind is queried with a small limit, since
    the page also holds rows of the other jobs that were taken before.

    :param LogPosition start: only rows after this position
    :param int limit: the most rows to query at once
    :param int jobs: how many jobs the experiment has; None if that is not known
    """

    start: LogPosition = field(factory=LogPosition)
    limit: int = DEFAULT_LIMIT
    jobs: int | None = None
    pass_is_over: bool = field(default=False, init=False)
    """Whether the last page was the end of what there was."""
    is_reliable: bool = field(default=False, init=False)
    """Whether the pass saw no stale page and no gap."""
    _jobs: dict[str | None, _JobPosition] = field(factory=dict[str | None, _JobPosition], init=False)
    _unseen: _JobPosition = field(init=False)
    _larger_limit: int = field(default=0, init=False)
    _saw_stale_page: bool = field(default=False, init=False)
    _query: LogRange = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._unseen = _JobPosition(self.start.line)
        self._jobs.update({job: _JobPosition(line) for job, line in self.start.jobs.items()})
        self._query = self._next_query()

    @property
    def query(self) -> LogRange:
        """The rows to query next."""
        return self._query

    @property
    def finished(self) -> bool:
        """Whether every job that the experiment has, and every one that was seen, has ended its log."""
        return self.jobs is not None and len(self._jobs) >= self.jobs and all(job.ended for job in self._jobs.values())

    @property
    def is_at_front(self) -> bool:
        """Whether any row that answers the query is a new one, so that a server may wait for it."""
        return self._query.line >= self._front

    @property
    def is_even(self) -> bool:
        """Whether all jobs that go on are equally far, so that one query covers all of them."""
        return all(job.last == self._front for job in self._open_jobs())

    @property
    def line_to_resume(self) -> int:
        """The line from which another reader loses nothing; of several jobs it may see rows again."""
        return min((job.last for job in self._open_jobs()), default=self._front)

    @property
    def position(self) -> LogPosition:
        """Where another reader goes on, without losing a row and without seeing one again."""
        named = {job: each.last for job, each in self._jobs.items() if job is not None}
        unnamed = self._jobs.get(None, self._unseen)
        return LogPosition(unnamed.last, named)

    def take(self, page: list[LogRow]) -> list[LogRow]:
        """Return the new rows of a page, without end markers, and advance.

        :param page: the answer to the query
        """
        query, front = self._query, self._front
        page = sorted(page, key=_by_line)
        is_full = len(page) >= query.limit
        end = page[-1].line if page else 0
        if (page and page[0].line < query.line) or (not is_full and query.line < front and end < front):
            self._saw_stale_page = True
        for job in self._jobs.values():
            job.sees_gap = False
        new = self._accept(page)
        complete_until = self._complete_until(page, is_full=is_full, is_at_front=query.line >= front)
        progress = self._check(query.line, complete_until) or bool(new)
        if not progress and not is_full:
            progress = self._check(query.line, math.inf)
        # Without progress, more jobs share a line than fit into a page, or the server includes the line that was named,
        # or the page is stale. A larger page always gets further.
        self._larger_limit = 0 if progress else min(query.limit * 2, _LARGEST_LIMIT)
        self._end_pass_if_all_are_checked()
        self._query = self._next_query()
        return without_end_markers(new)

    def _accept(self, page: list[LogRow]) -> list[LogRow]:
        """Advance the jobs, and return the rows that they accepted."""
        by_job: defaultdict[str | None, list[LogRow]] = defaultdict(list)
        for row in page:
            by_job[row.job_id].append(row)
        # Mostly all rows are the next ones of their jobs: then they need not be looked at one by one.
        if not all(self._job(job_id).continues_with(rows) for job_id, rows in by_job.items()):
            return [row for row in page if self._job(row.job_id).accept(row)]
        for job_id, rows in by_job.items():
            self._job(job_id).advance_to(rows[-1].line, ends=END_OF_LOG in [row.message for row in rows])
        return page

    def _complete_until(self, page: list[LogRow], *, is_full: bool, is_at_front: bool) -> float:
        """Return the line up to which a page holds every row that there is."""
        if is_full:
            # It may have been cut within the rows of several jobs that share a line.
            return page[-1].line - (0 if self.jobs == 1 and len(self._jobs) <= 1 else 1)
        # What comes after the last known line is queried by itself, so that the server can wait for it.
        return math.inf if is_at_front or not page else page[-1].line

    def _check(self, after: int, complete_until: float) -> bool:
        return sum(job.check(after, complete_until) for job in self._open_jobs()) > 0

    def _job(self, job_id: str | None) -> _JobPosition:
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = _JobPosition(self.start.line)
        return job

    def _open_jobs(self) -> Iterator[_JobPosition]:
        """Yield the jobs that may bring more rows; one position stands for all that were not seen yet."""
        yield from (job for job in self._jobs.values() if not job.ended)
        if self.jobs is None or len(self._jobs) < self.jobs:
            yield self._unseen

    @property
    def _front(self) -> int:
        return max((job.last for job in self._jobs.values()), default=self.start.line)

    def _end_pass_if_all_are_checked(self) -> None:
        jobs = list(self._open_jobs())
        self.pass_is_over = all(job.checked for job in jobs)
        self.is_reliable = not self._saw_stale_page and not any(job.beyond_gap > job.last for job in jobs)
        if self.pass_is_over:
            self._saw_stale_page = False
            for job in jobs:
                job.start_pass()

    def _next_query(self) -> LogRange:
        unchecked = (job for job in self._open_jobs() if not job.checked)
        job = min(unchecked, key=attrgetter("next_after"), default=self._unseen)
        limit = self.limit
        if job.next_after < self._front and not job.advanced and not job.skip_until:
            # All rows of the next line, those of the named line if the server includes it, and one more row.
            limit = min(limit, 2 * max(self.jobs or 0, len(self._jobs)) + 1)
        return LogRange(job.next_after, self._larger_limit or limit)


_TAIL_PAGE = 1000
_MOST_TAIL_QUERIES = 100


@define
class LogTail:
    """Find the last rows of a log without reading all of it.

    It queries further and further on until nothing comes, then bisects. The rows of all jobs come ordered by line; the
    last ones are those of the job with the longest log.

    :param int count: how many rows to find
    """

    count: int
    finished: bool = field(default=False, init=False)
    query: LogRange = field(default=LogRange(0, _TAIL_PAGE), init=False)
    """The rows to query next."""
    _rows: list[LogRow] = field(factory=list[LogRow], init=False)
    _last: int = field(default=0, init=False)
    """The last line that was seen."""
    _nothing_after: int | None = field(default=None, init=False)
    _queries: int = field(default=0, init=False)

    @property
    def rows(self) -> list[LogRow]:
        """The last rows found so far, without end markers."""
        return without_end_markers(self._rows)[-self.count :]

    def take(self, page: Sequence[LogRow]) -> None:
        """Take the page that answers the query, and advance."""
        self._queries += 1
        page = sorted(page, key=_by_line)
        end_is_known = self._nothing_after is not None and self._nothing_after <= self._last
        if page and (page[-1].line > self._last or end_is_known):
            self._rows, self._last = page, max(self._last, page[-1].line)
        else:
            self._nothing_after = max(self._last, min(self.query.line, self._nothing_after or self.query.line))
        if end_is_known or self._queries >= _MOST_TAIL_QUERIES:
            self.finished = True
        elif self._nothing_after is None:
            # Often the whole log fits into the first page: the second query finds out.
            self.query = LogRange(self._last if self._queries == 1 else self._last * 2, _TAIL_PAGE)
        elif self._nothing_after > self._last:
            self.query = LogRange((self._last + self._nothing_after) // 2, _TAIL_PAGE)
        else:
            # One more query even if the last page seems to hold all: it may have been cut within the last line.
            self.finished = not self._rows
            self.query = LogRange(max(0, self._last - self.count - 1), _TAIL_PAGE)
