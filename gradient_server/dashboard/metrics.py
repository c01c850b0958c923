r"""Metrics in logs: numbers such as `loss 0.12`, `loss=0.12`, `"loss": 0.12`, `val loss: 12%` and `epoch 7/30`.

A number belongs to the word before it. Dates, times, versions, `3x` and `K80` are not numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from gradient_ext.redaction import ESCAPE_SEQUENCES

STEPS = ("global_step", "step", "steps", "iteration", "iter", "batch", "epoch")
"""Names of numbers that can be the x-axis of a chart, in order of preference."""
SUBJECTS = ("training", "train", "validation", "valid", "val", "testing", "test", "evaluation", "eval", "dev", "best")
"""Words that become part of the name of the metric that follows: `val loss`."""
MAX_CHARACTERS = 1_000
"""How many characters of a row are searched for numbers."""
MAX_NAMES = 200
"""How many different names are collected from a log."""
MAX_CHARTS = 8
_LARGEST = 1e15
"""The largest number that is charted; floats beyond it are too far apart to draw an axis."""
_NUMBERS = re.compile(
    rf"""
    (?<![\w.@/%-])                                     # the beginning of a word
    (?:(?P<subject>{"|".join(SUBJECTS)})[ ]{{1,2}})?
    (?P<name>[^\W\d][\w.@/%-]{{0,39}})
    (?: ["']?\s{{0,8}}[:=]\s{{0,8}}["'\[(]{{0,2}} | \s{{1,8}} )
    (?P<number> [-+]? (?: [0-9]{{1,40}}(?:\.[0-9]{{0,40}})? | \.[0-9]{{1,40}} ) (?:e[-+]?[0-9]{{1,4}})? ) %?
    (?! \w | [.,:-][0-9] )                             # not within a version, a date or a time
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COLORS = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
_CONTROLS = re.compile(rf"{ESCAPE_SEQUENCES.pattern} | [\x00-\x1f\x7f-\x9f]", re.VERBOSE)
"""Control characters, and the sequences of them that terminals understand."""


class Numbers(NamedTuple):
    """The numbers in one log row."""

    job: str
    line: int
    values: Mapping[str, float]


class _Point(NamedTuple):
    line: int
    steps: Mapping[str, float]
    value: float


def numbers_in(message: str) -> dict[str, float]:
    """Return the numbers in a log message by name; of a name that occurs twice, the last number.

    >>> numbers_in("epoch  7/30  loss 0.1234  val loss: 0.2  accuracy=95.5%")
    {'epoch': 7.0, 'loss': 0.1234, 'val loss': 0.2, 'accuracy': 95.5}
    """
    # A colour can change within a word; what moves the cursor ends it.
    text = _CONTROLS.sub(" ", _COLORS.sub("", message[:MAX_CHARACTERS]))
    found: dict[str, float] = {}
    for match in _NUMBERS.finditer(text):
        value = float(match["number"])
        if abs(value) <= _LARGEST:
            subject, name = match["subject"], match["name"]
            is_step = name.casefold() in STEPS
            found[name.casefold() if is_step else f"{subject} {name}" if subject else name] = value
    return found


def charts_of(rows: Iterable[Numbers], job_names: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
    """Return the charts of a log as JSON values, those with most points first, and how many more there would be.

    Every name that repeats is a chart with a series for each job. Its x-axis is a step where every number has a step
    and no step occurs twice, otherwise the line in the log.

    :param rows: the rows of the log; the rows of each job are in order
    :param job_names: the name of each job

    >>> rows = [Numbers("js1", 1, {"epoch": 10.0, "loss": 0.5}), Numbers("js1", 2, {"epoch": 20.0, "loss": 0.3})]
    >>> charts_of(rows, {"js1": "worker"})
    ([{'name': 'loss', 'axis': 'epoch', 'series': [{'name': 'worker', 'x': [10.0, 20.0], 'y': [0.5, 0.3]}]}], 0)
    """
    metrics: dict[str, dict[str, list[_Point]]] = {}
    for job, line, values in rows:
        steps = {name: values[name] for name in STEPS if name in values}
        for name, value in values.items():
            if name not in steps and (name in metrics or len(metrics) < MAX_NAMES):
                metrics.setdefault(name, {}).setdefault(job, []).append(_Point(line, steps, value))
    repeated = {name: jobs for name, jobs in metrics.items() if any(map(_is_metric, jobs.values()))}
    names = sorted(repeated, key=lambda name: -sum(map(len, repeated[name].values())))
    charts = [_chart(name, repeated[name], job_names) for name in names[:MAX_CHARTS]]
    return charts, len(names) - len(charts)


def _is_metric(points: Sequence[_Point]) -> bool:
    """Whether there is something to chart: a whole number that never changes is part of a name, as in `worker 1`."""
    first = points[0].value
    return len(points) > 1 and not (first.is_integer() and all(point.value == first for point in points))


def _chart(name: str, jobs: Mapping[str, Sequence[_Point]], job_names: Mapping[str, str]) -> dict[str, Any]:
    axis = next((step for step in STEPS if all(_is_axis(step, points) for points in jobs.values())), "line")
    series = [
        {
            "name": job_names.get(job, job),
            "x": [point.steps.get(axis, point.line) for point in points],
            "y": [point.value for point in points],
        }
        for job, points in jobs.items()
    ]
    return {"name": name, "axis": axis, "series": series}


def _is_axis(step: str, points: Sequence[_Point]) -> bool:
    """Whether every point has this step, and a larger one than the point before."""
    return all(step in point.steps for point in points) and all(
        before.steps[step] < after.steps[step] for before, after in pairwise(points)
    )
