"""Log rows, and the cursor that walks through them. No I/O: the cursor says what to ask and takes what came back."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import attrgetter

from attrs import asdict, define, field, fields, frozen
from gradient_api.columns import GET_LOGS_COLUMNS
from gradient_api.constants import END_OF_LOG

from gradient_ext import public
from gradient_ext.config import DEFAULT_LIMIT, FIRST_LINE
from gradient_ext.rows import read_columns

by_line = attrgetter("line")
# How often a gap has to be seen before rows behind it are taken: what is missing may be on its way.
_SIGHTINGS = 5
_LARGEST_LIMIT = 2**31 - 1


@public
@frozen
class LogRow:
    """One row of a log. Unpacks into `line, message, timestamp`, as it did when it was a tuple.

    >>> line, message, timestamp = LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")
    >>> message
    'step 1/3'

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

    def to_dict(self) -> dict[str, object]:
        """Give line, message, timestamp and job as a dictionary that can be written as JSON.

        >>> LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z", "js1").to_dict()
        {'line': 1, 'message': 'step 1/3', 'timestamp': '2019-08-06T17:21:18.528Z', 'job_id': 'js1'}
        """
        return asdict(self)


_COLUMNS = {column.attribute: column for column in GET_LOGS_COLUMNS}
_COLUMNS_OF_ROWS = [_COLUMNS[attribute.name] for attribute in fields(LogRow)]


def rows_from(answer: list[object] | None) -> list[LogRow]:
    """Make the rows of an answer; None is the answer of a server that has nothing to say (204).

    :param answer: the rows, as they are in JSON

    :raises TypeError: a row is no object
    :raises KeyError: a row has no number, no message or no time
    :raises ValueError: it has something else there
    """
    lines, messages, timestamps, jobs = read_columns(answer or [], _COLUMNS_OF_ROWS)
    return list(map(LogRow, lines, messages, timestamps, [job or None for job in jobs]))


def without_ends(rows: Iterable[LogRow]) -> list[LogRow]:
    """Leave out the markers that end the logs of jobs."""
    return [row for row in rows if row.message != END_OF_LOG]


@frozen
class LogQuestion:
    """What to ask the server next: at most `limit` rows after `line`."""

    line: int
    limit: int


@define
class _Job:
    """What the cursor knows of one job: a few numbers, however long its log is."""

    last: int
    """The last line that has been taken."""
    place: int = field(init=False)
    """After which line to look for more: the last one, unless lines are skipped."""
    ended: bool = False
    talking: bool = False
    """Whether it has brought rows in this sweep."""
    checked: bool = False
    """Whether this sweep has found out that nothing follows its last line now."""
    beyond: int = 0
    """The last line that was seen behind missing ones."""
    is_beyond: bool = False
    """Whether the last answer had lines behind missing ones."""
    sightings: int = 0
    """How often the server was asked for the missing lines, and did not have them."""
    skipping: int = 0
    """Up to which line missing ones are skipped."""

    def __attrs_post_init__(self) -> None:
        self.place = self.last

    def takes(self, row: LogRow) -> bool:
        """Move on to a row if it is the next one; otherwise it is an old one, or lines before it are missing."""
        if row.line <= self.last:
            return False
        if row.line > self.last + 1 and row.line > self.skipping:
            self.beyond = max(self.beyond, row.line)
            self.is_beyond = True
            return False
        self.move_to(row.line, ends=row.message == END_OF_LOG)
        return True

    def goes_on_with(self, rows: list[LogRow]) -> bool:
        """Say whether rows are the next ones, all of them."""
        following = range(self.last + 1, self.last + 1 + len(rows))
        return [row.line for row in rows] == list(following)

    def move_to(self, line: int, *, ends: bool) -> None:
        """Remember that it has come to a line, and whether it has ended its log by then."""
        self.last = self.place = line
        self.talking = True
        self.sightings = 0
        self.ended = self.ended or ends

    def check(self, asked: int, reach: float) -> bool:
        """Hear that the server, asked for what follows a line, has shown all lines up to another one."""
        if self.checked or not asked <= self.place < reach:
            return False
        if self.place < self.skipping:
            self.place = int(min(reach, self.skipping))
            return True
        self.checked = True
        # An answer that reaches to where those lines are, and lacks them, too, does not say much.
        if self.beyond > self.last and (self.is_beyond or reach < self.beyond):
            self.sightings += 1
            if self.sightings >= _SIGHTINGS:
                self.skipping, self.checked, self.sightings = self.beyond, False, 0
        return True

    def start_sweep(self) -> None:
        """Look again after the last line."""
        self.place = self.last
        self.checked = self.talking = False
        self.skipping = 0


@define
class LogCursor:
    """Where a reader of the logs of one experiment is.

    The rows of all jobs come in one sequence ordered by line, and each job numbers its own rows from 1, without gaps.
    The cursor takes of every job the row that follows its last one, and nothing else. Rows behind missing ones are left
    until the missing ones have come: a job that was behind has printed them in the meantime, or answers came in another
    order than they were given. A server that shows the same gap again and again does not have what is missing.

    The cursor goes through the logs in sweeps: it asks what follows the last line of the job that is furthest behind,
    then of the next one, until it has reached the end of what there is. A job that is behind is asked about with a
    small limit, as the answer also holds rows of the others that have been taken already.

    :param int line: only rows after this line
    :param int limit: the most rows to ask for at once
    :param int jobs: how many jobs the experiment has; None if that is not known
    """

    line: int = FIRST_LINE
    limit: int = DEFAULT_LIMIT
    jobs: int | None = None
    sweep_is_over: bool = field(default=False, init=False)
    """Whether the last answer was the end of what there was."""
    is_sure: bool = field(default=False, init=False)
    """Whether nothing was odd in the sweep: no page from before, and no rows missing that are known to be there."""
    _jobs: dict[str | None, _Job] = field(factory=dict[str | None, _Job], init=False)
    _unheard: _Job = field(init=False)
    _larger_limit: int = field(default=0, init=False)
    _is_odd: bool = field(default=False, init=False)
    _question: LogQuestion = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._unheard = _Job(self.line)
        self._question = self._next_question()

    @property
    def question(self) -> LogQuestion:
        """What to ask next."""
        return self._question

    @property
    def finished(self) -> bool:
        """Whether every job that the experiment has, and every one heard of, is known to have ended its log."""
        return self.jobs is not None and len(self._jobs) >= self.jobs and all(job.ended for job in self._jobs.values())

    @property
    def is_at_front(self) -> bool:
        """Whether any row that answers the question is a new one, so that a server may wait for it."""
        return self._question.line >= self._front

    @property
    def is_even(self) -> bool:
        """Whether all jobs that go on are equally far, so that one question is about all of them."""
        return all(job.last == self._front for job in self._open_jobs())

    @property
    def line_to_resume(self) -> int:
        """The line from which another reader loses nothing; of several jobs it may see rows again."""
        return min((job.last for job in self._open_jobs()), default=self._front)

    def take(self, page: list[LogRow]) -> list[LogRow]:
        """Take the answer to the question: return what is new in it, without end markers, and move on."""
        asked, front = self._question, self._front
        page = sorted(page, key=by_line)
        full = len(page) >= asked.limit
        end = page[-1].line if page else 0
        if (page and page[0].line < asked.line) or (not full and asked.line < front and end < front):
            self._is_odd = True
        for job in self._jobs.values():
            job.is_beyond = False
        new = self._new(page)
        moved = self._check(asked.line, self._reach(page, full=full, is_at_front=asked.line >= front)) or bool(new)
        if not moved and not full:
            moved = self._check(asked.line, math.inf)
        # More jobs share a line than fit, or the server counts the line that was named in, or has given a page from
        # before. A larger page always gets further.
        self._larger_limit = 0 if moved else min(asked.limit * 2, _LARGEST_LIMIT)
        self._end_sweep_if_all_are_checked()
        self._question = self._next_question()
        return without_ends(new)

    def _new(self, page: list[LogRow]) -> list[LogRow]:
        """Move the jobs on, and return the rows that they have moved to."""
        by_job: defaultdict[str | None, list[LogRow]] = defaultdict(list)
        for row in page:
            by_job[row.job_id].append(row)
        # Mostly all rows are the next ones of their jobs: then none of them needs to be looked at by itself.
        if not all(self._job(job_id).goes_on_with(rows) for job_id, rows in by_job.items()):
            return [row for row in page if self._job(row.job_id).takes(row)]
        for job_id, rows in by_job.items():
            self._job(job_id).move_to(rows[-1].line, ends=END_OF_LOG in [row.message for row in rows])
        return page

    def _reach(self, page: list[LogRow], *, full: bool, is_at_front: bool) -> float:
        """Say up to which line a page shows all there is."""
        if full:
            # It may have cut through rows of several jobs with the same line.
            return page[-1].line - (0 if self.jobs == 1 and len(self._jobs) <= 1 else 1)
        # What comes after the last known line is asked for by itself, so that the server can wait for it.
        return math.inf if is_at_front or not page else page[-1].line

    def _check(self, asked: int, reach: float) -> bool:
        return sum(job.check(asked, reach) for job in self._open_jobs()) > 0

    def _job(self, job_id: str | None) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = _Job(self.line)
        return job

    def _open_jobs(self) -> Iterator[_Job]:
        """Give what may still bring rows; jobs that have not been heard of are as one that is at the start."""
        yield from (job for job in self._jobs.values() if not job.ended)
        if self.jobs is None or len(self._jobs) < self.jobs:
            yield self._unheard

    @property
    def _front(self) -> int:
        return max((job.last for job in self._jobs.values()), default=self.line)

    def _end_sweep_if_all_are_checked(self) -> None:
        jobs = list(self._open_jobs())
        self.sweep_is_over = all(job.checked for job in jobs)
        self.is_sure = not self._is_odd and not any(job.beyond > job.last for job in jobs)
        if self.sweep_is_over:
            self._is_odd = False
            for job in jobs:
                job.start_sweep()

    def _next_question(self) -> LogQuestion:
        unchecked = (job for job in self._open_jobs() if not job.checked)
        job = min(unchecked, key=attrgetter("place"), default=self._unheard)
        limit = self.limit
        if job.place < self._front and not job.talking and not job.skipping:
            # All rows of the next line, the one that was named too if the server counts it in, and one more row.
            limit = min(limit, 2 * max(self.jobs or 0, len(self._jobs)) + 1)
        return LogQuestion(job.place, self._larger_limit or limit)
