"""Where logs end, and their last rows, found by questions that the server answers anyway. Pure but for the asking.

Rows are asked for as clients do: after a line, of all jobs, ordered by line. Each job numbers its own rows from 1,
without gaps, so that a job with a row of some line has all before it. However long a log is, a few questions find its
end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import frozen

Row = Mapping[str, Any]
Ask = Callable[[int, int], Sequence[Row]]
"""Gives the rows after a line, of all jobs, ordered by line, at most so many."""
Ends = Mapping[str, int]
"""The last line of each job; 0: it has none yet."""


def ends_of(ask: Ask, jobs: Sequence[str], known: Ends | None = None) -> dict[str, int]:
    """Find the last line of each job.

    :param ask: gives rows
    :param jobs: all jobs
    :param known: lines that are known to be there; what is wrong of it does no harm
    """

    @cache
    def having(line: int) -> frozenset[str]:
        return frozenset(row["jobId"] for row in ask(line - 1, len(jobs)) if row["line"] == line)

    def end(job: str) -> int:
        at_least = (known or {}).get(job, 0)
        low = at_least if at_least > 0 and job in having(at_least) else 0
        step = 1
        while job in having(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if job in having(middle) else (low, middle)
        return low

    return {job: end(job) for job in jobs}


@frozen
class Rows:
    """Some rows, those of each job in their order.

    :param rows: the rows
    :param bool skipped: whether there were more, before these
    """

    rows: list[Row]
    skipped: bool


def last_rows(ask: Ask, ends: Ends, since: Ends, most: int) -> Rows:
    """Give the last rows that came after some lines, equally many of each job, at most so many of all.

    :param ask: gives rows
    :param ends: the last line of each job
    :param since: the lines after which rows are wanted; a job that is not in it: from its beginning
    :param int most: how many rows at most
    """
    each = max(1, most // max(1, len(ends)))

    @cache
    def after(line: int) -> Sequence[Row]:
        return ask(line, each * len(ends))

    starts = {job: max(since.get(job, 0), end - each) for job, end in ends.items()}
    rows = [
        row
        for job, end in ends.items()
        if starts[job] < end
        for row in after(starts[job])
        if row["jobId"] == job and row["line"] <= end
    ]
    return Rows(rows, any(start > since.get(job, 0) for job, start in starts.items()))


def samples(last: int, jobs: int, most: int, at_once: int) -> list[tuple[int, int]]:
    """Say which rows to read for an overall picture: all of a short log, and parts evenly over a long one.

    :param int last: the last line of all jobs
    :param int jobs: how many jobs there are
    :param int most: how many rows to read at most
    :param int at_once: how many rows to read at once

    :returns: after which line, and how many lines of each job; they do not overlap

    >>> samples(10, 1, 100, 5)
    [(0, 5), (5, 5)]
    >>> samples(1000, 1, 15, 5)
    [(0, 5), (497, 5), (995, 5)]
    """
    lines = max(1, at_once // jobs)
    parts = -(-last // lines)
    if parts * lines * jobs <= most:
        return [(part * lines, lines) for part in range(parts)]
    parts = max(2, most // (lines * jobs))
    return [((last - lines) * part // (parts - 1), lines) for part in range(parts)]
