"""Which rows of a log are read for the page: its last ones, or some spread over all of it. Pure but for asking.

Each job numbers its own rows from 1, without gaps. Of each its own are asked for: many jobs have logs of many lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

Row = Mapping[str, Any]
Ask = Callable[[str, int, int], Sequence[Row]]
"""Gives the rows of a job after a line, at most so many."""
Ends = Mapping[str, int]
"""The last line of each job; 0: it has none yet."""


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
    starts = {job: max(since.get(job, 0), end - each) for job, end in ends.items()}
    rows = [row for job, end in ends.items() if starts[job] < end for row in ask(job, starts[job], end - starts[job])]
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
