"""Curves out of the numbers of a log: every name that repeats is one, with a line for each job. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from gradient_server.dashboard.log_numbers import STEPS

Point = tuple[float, float]
Numbers = tuple[str, int, Mapping[str, float]]
"""A job, a line, and the numbers that are in this row, by their names."""
MOST_NAMES = 200
"""How many names of numbers are kept in mind; more are no numbers that somebody wants to see."""


@frozen(kw_only=True)
class Line:
    """The numbers that one job has printed of one name.

    :param str job: the job
    :param points: where and how much
    """

    job: str
    points: tuple[Point, ...]


@frozen(kw_only=True)
class Curve:
    """All numbers of one name.

    :param str name: the name
    :param str over: what its points go over: the name of a step, or `line`
    :param lines: a line for each job that has printed some
    """

    name: str
    over: str
    lines: tuple[Line, ...]


@frozen(kw_only=True)
class _Found:
    line: int
    steps: dict[str, float]
    value: float


def curves_of(rows: Iterable[Numbers]) -> list[Curve]:
    """Find the curves in the numbers of rows, those of each job in their order; curves with more points come first.

    >>> curve, = curves_of([("js1", 1, {"epoch": 10.0, "loss": 0.5}), ("js1", 2, {"epoch": 20.0, "loss": 0.3})])
    >>> curve.name, curve.over, curve.lines[0].points
    ('loss', 'epoch', ((10.0, 0.5), (20.0, 0.3)))
    """
    found: dict[str, dict[str, list[_Found]]] = {}
    for job, line, numbers in rows:
        steps = {name: numbers[name] for name in STEPS if name in numbers}
        for name, value in numbers.items():
            if name not in steps and (name in found or len(found) < MOST_NAMES):
                found.setdefault(name, {}).setdefault(job, []).append(_Found(line=line, steps=steps, value=value))
    chosen = {name: jobs for name, jobs in found.items() if any(map(_is_a_curve, jobs.values()))}
    by_points = sorted(chosen, key=lambda name: -sum(map(len, chosen[name].values())))
    return [_curve(name, chosen[name]) for name in by_points]


def _is_a_curve(numbers: Sequence[_Found]) -> bool:
    """Say whether there is something to see; the same whole number again and again is part of a name: `worker 1`."""
    first = numbers[0].value
    return len(numbers) > 1 and not (first.is_integer() and all(found.value == first for found in numbers))


def _curve(name: str, jobs: dict[str, list[_Found]]) -> Curve:
    over = next((step for step in STEPS if all(_goes_over(step, numbers) for numbers in jobs.values())), "line")
    return Curve(
        name=name,
        over=over,
        lines=tuple(
            Line(job=job, points=tuple((found.steps.get(over, found.line), found.value) for found in numbers))
            for job, numbers in jobs.items()
        ),
    )


def _goes_over(step: str, numbers: Sequence[_Found]) -> bool:
    """Say whether every number has a step of its own; steps that begin again with each epoch do not do."""
    return all(step in found.steps for found in numbers) and all(
        before.steps[step] < after.steps[step] for before, after in pairwise(numbers)
    )
