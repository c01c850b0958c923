"""Pages of logs as servers give them that keep rows in several places: true rows, but not as they were asked for.

Pure. What a careful reader needs is there: no job goes back, and no row is left out of a page that is not full.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

Row = dict[str, Any]


def repeated(rows: Sequence[Row], limit: int) -> list[Row]:
    """Give rows twice, one right after the other: of a full page those that fit, of another as many as have room."""
    if len(rows) >= limit:
        return [row for row in rows for _ in range(2)][:limit]
    room = limit - len(rows)
    return [row for place, row in enumerate(rows) for _ in range(2 if place < room else 1)]


def mixed(rows: Sequence[Row], random: Random) -> list[Row]:
    """Give the rows of all jobs in any order, but those of each job in theirs."""
    turns = [row["jobId"] for row in rows]
    random.shuffle(turns)
    left = {job: iter([row for row in rows if row["jobId"] == job]) for job in set(turns)}
    return [next(left[job]) for job in turns]


def older(line: int, share: float) -> int:
    """Give a line before another one, from which an earlier question may have asked."""
    # In whole numbers: a line can have more digits than a float.
    return line * int(share * 2**53) >> 53
