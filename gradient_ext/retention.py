"""Which ended experiments are kept: the latest ones, as far as limits of number, age and size allow."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from attrs import frozen

_AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZE_UNITS = "kMGTP"
_AGE = re.compile(rf"(\d{{1,6}})([{''.join(_AGE_UNITS)}])")
_SIZE = re.compile(rf"(\d{{1,6}}(?:\.\d{{1,3}})?) ?([{_SIZE_UNITS}])(i?)B", re.IGNORECASE)
_NUMBER = re.compile(r"[1-9]\d{0,8}")


class EndedRun(NamedTuple):
    """An experiment that has ended.

    :param str id: its id
    :param float ended: when, in seconds
    :param int size: bytes that it takes on the disk
    """

    id: str
    ended: float
    size: int = 0


@frozen
class Limit:
    """A limit of what is kept; one of the three is finite.

    :param str text: as it was given
    :param float count: how many experiments
    :param float age: seconds since the end of the oldest one
    :param float size: bytes that they take together
    """

    text: str
    count: float = math.inf
    age: float = math.inf
    size: float = math.inf


def parse_limit(text: str) -> Limit:
    """Return a limit from its text.

    :raises ValueError: it is none

    >>> parse_limit("50").count, parse_limit("30d").age, parse_limit("1.5GB").size
    (50, 2592000.0, 1500000000.0)
    """
    if _NUMBER.fullmatch(text):
        return Limit(text, count=int(text))
    if _AGE.fullmatch(text):
        return Limit(text, age=parse_age(text).total_seconds())
    if match := _SIZE.fullmatch(text):
        number, unit, is_binary = match.groups()
        exponent = _SIZE_UNITS.lower().index(unit.lower()) + 1
        return Limit(text, size=float(number) * (1024 if is_binary else 1000) ** exponent)
    raise ValueError(f"{text[:40]!r} is neither a number such as 50, nor an age such as 30d, nor a size such as 200GB")


def parse_age(text: str) -> timedelta:
    """Return an age from its text.

    :raises ValueError: it is none

    >>> parse_age("12h").total_seconds()
    43200.0
    """
    if (match := _AGE.fullmatch(text)) is None:
        raise ValueError(f"{text[:40]!r} is no age such as 30m, 12h or 7d")
    return timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})


def beyond_limits(runs: Iterable[EndedRun], limits: Sequence[Limit], now: float) -> list[EndedRun]:
    """Return the runs that limits do not allow to keep, the one that ended first first; without limits, all.

    The run that ended last is never too large.

    >>> runs = [EndedRun("es1", ended=10.0), EndedRun("es2", ended=20.0), EndedRun("es3", ended=30.0)]
    >>> [run.id for run in beyond_limits(runs, [parse_limit("2")], now=40.0)]
    ['es1']
    """
    latest = sorted(runs, key=lambda run: (run.ended, run.id), reverse=True)
    kept = min((_count_within(limit, latest, now) for limit in limits), default=0)
    return latest[kept:][::-1]


def _count_within(limit: Limit, latest: Sequence[EndedRun], now: float) -> int:
    totals = itertools.accumulate(run.size for run in latest)
    return sum(
        number < limit.count and now - run.ended <= limit.age and (number == 0 or total <= limit.size)
        for number, (run, total) in enumerate(zip(latest, totals, strict=True))
    )
