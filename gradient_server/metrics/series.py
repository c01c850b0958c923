"""Points of one metric of one job, in bounded memory: of very many, the extremes of each stretch are kept."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from operator import eq, gt

from attrs import define, field, frozen

from gradient_server.metrics.rows import STEPS, Points
from gradient_server.runners.base import PushedValue

MAX_POINTS = 10_000
"""The most points that are kept of a series, and returned."""


@frozen
class Columns:
    """Some points of a series, one column for each property, ordered by line.

    :param str axis: the name of the steps; None: there are none
    :param steps: NaN where a point has none; empty without an axis
    :param bool is_unique: whether no step occurs twice
    :param str source: what `lines` counts, as `Points` say
    """

    lines: Sequence[int]
    timestamps: Sequence[float]
    values: Sequence[float]
    axis: str | None
    steps: Sequence[float]
    is_unique: bool = False
    source: str = "line"


@define
class _Steps:
    """The steps with one name, and whether they can be an axis."""

    values: array[float]
    count: int = 0
    """How many points have one."""
    latest: float = -math.inf
    falls: bool = False
    """Whether any is smaller than the one before."""
    repeats: bool = False
    """Whether any is the same as the one before."""

    def extend(self, steps: Sequence[float]) -> None:
        present = [step for step in steps if step == step]
        if present:
            before = [self.latest, *present[:-1]]
            self.falls = self.falls or any(map(gt, before, present))
            self.repeats = self.repeats or any(map(eq, before, present))
            self.latest = present[-1]
            self.count += len(present)
        self.values.extend(steps)


@define
class Series:
    """The points of one metric of one job. Points are added in the order of their lines."""

    total: int = 0
    """How many points were added."""
    is_decimal: bool = False
    """Whether any of its numbers was written with a fraction or an exponent."""
    source: str = "line"
    """The unit of its lines, as in `Points`."""
    _lines: array[int] = field(factory=lambda: array("q"))
    _timestamps: array[float] = field(factory=lambda: array("d"))
    _values: array[float] = field(factory=lambda: array("d"))
    _steps: dict[str, _Steps] = field(factory=dict[str, _Steps])
    _first: float = math.nan
    _varies: bool = False
    _ratio: int = 1
    """How many points stand behind each that is kept."""
    _kept: int = 0
    """How many points are thinned as much as `_ratio` says; those behind them are new."""

    def __len__(self) -> int:
        """Return how many points are kept."""
        return len(self._values)

    @property
    def is_metric(self) -> bool:
        """Whether it measures something: a whole number that never changes is part of a name, as in `worker 1`."""
        return self.is_decimal or self._varies

    @property
    def axis(self) -> str | None:
        """The name of steps that most points have, and that never fall; rather one whose steps differ; None: none."""
        names = [name for name in STEPS if (steps := self._steps.get(name)) and self._may_be_axis(steps)]
        return min(names, key=lambda name: self._steps[name].repeats, default=None)

    def _may_be_axis(self, steps: _Steps) -> bool:
        return steps.count * 2 > self.total and not steps.falls

    def extend(self, points: Points) -> None:
        """Add points."""
        values = points.values
        if not self.total:
            self._first, self.source = values[0], points.source
        self._varies = self._varies or any(value != self._first for value in values)
        self.is_decimal = self.is_decimal or points.is_decimal
        for name in points.steps:
            if name not in self._steps:
                self._steps[name] = _Steps(array("d", [math.nan]) * len(self._values))
        for name, known in self._steps.items():
            known.extend(points.steps.get(name) or [math.nan] * len(values))
        self._lines.extend(points.lines)
        self._timestamps.extend(points.timestamps)
        self._values.extend(values)
        self.total += len(values)
        if len(self._values) > MAX_POINTS:
            self._thin()

    def columns(self, limit: int = MAX_POINTS) -> Columns:
        """Return at most `limit` points: the first, the last, and the lowest and highest of each stretch in between."""
        axis = self.axis
        size = len(self._values)
        indices: Sequence[int] = range(size)
        if size > limit:
            inner = _thinned(self._values, 0, size - 1, -(-2 * size // max(1, limit - 2)))
            indices = [*inner[: limit - 1], size - 1]
        steps = self._steps[axis].values if axis else ()
        return Columns(
            [self._lines[index] for index in indices],
            [self._timestamps[index] for index in indices],
            [self._values[index] for index in indices],
            axis,
            [steps[index] for index in indices] if axis else (),
            is_unique=axis is not None and not self._steps[axis].repeats,
            source=self.source,
        )

    def _thin(self) -> None:
        """Thin the new points as much as the others, then all of them while there are too many; never the last one."""
        size, stretch = len(self._values) - 1, 2 * self._ratio
        end = size - (size - self._kept) % stretch if self._ratio > 1 else size
        if self._ratio > 1:
            new = _thinned(self._values, self._kept, end, stretch)
            self._keep([*new, *range(end, size + 1)], after=self._kept)
            end = self._kept + len(new)
        while end > MAX_POINTS // 2:
            thinned = _thinned(self._values, 0, end - end % 4, 4)
            self._keep([*thinned, *range(end - end % 4, len(self._values))])
            self._ratio *= 2
            end = len(thinned)
        self._kept = end

    def _keep(self, indices: Sequence[int], *, after: int = 0) -> None:
        """Keep some of the points from an index on, and all before it."""
        self._lines[after:] = array("q", [self._lines[index] for index in indices])
        for column in (self._timestamps, self._values, *(steps.values for steps in self._steps.values())):
            column[after:] = array("d", [column[index] for index in indices])


def pushed_points(values: Sequence[PushedValue]) -> Iterator[Points]:
    """Yield the points in values that a job has pushed."""
    by_name: dict[str, list[PushedValue]] = {}
    for pushed in values:
        by_name.setdefault(pushed.name, []).append(pushed)
    for name, found in by_name.items():
        numbers, timestamps, _, given, floats = zip(*found, strict=True)
        steps = [math.nan if step is None else step for step in given]
        # A metric that was named is one, whatever its numbers look like.
        yield Points(name, numbers, timestamps, floats, {"step": steps}, is_decimal=True, source="push")


def _thinned(values: Sequence[float], start: int, end: int, size: int) -> list[int]:
    """Return the indices of two points of each stretch of some size: the lowest and the highest; the first one, too.

    A stretch with NaN or infinity is represented by the first of these, instead of by its extremes.
    """
    found: list[int] = [start] if end > start else []
    for begin in range(start, end, size):
        stretch = values[begin : min(end, begin + size)]
        if math.isfinite(sum(stretch)):
            low, high = stretch.index(min(stretch)), stretch.index(max(stretch))
        else:
            low = high = next(index for index, value in enumerate(stretch) if not math.isfinite(value))
        if low == high:
            high = len(stretch) - 1 if low == 0 else low
            low = 0 if low == len(stretch) - 1 else low
        found += [begin + min(low, high), begin + max(low, high)]
    return list(dict.fromkeys(found))
