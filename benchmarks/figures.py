"""Medians, ratios with their spread, and whether aims are met, from measured times. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen


@frozen
class Ratio:
    """How many times as long one took as another: the ratio of the medians, and the quartiles of single rounds."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """Return it as a JSON value."""
        return {"ratio": round(self.value, 3), "low": round(self.low, 3), "high": round(self.high, 3)}

    def __str__(self) -> str:
        return f"{brief(self.value)} ({brief(self.low)}-{brief(self.high)})"


def ratio(times: Sequence[float], base: Sequence[float]) -> Ratio:
    """Return the ratio of two contenders that took turns.

    >>> str(ratio([2.0, 2.2, 2.1], [1.0, 1.1, 1.0]))
    '2.10 (2.00-2.10)'
    """
    rounds = [one / other for one, other in zip(times, base, strict=True)]
    low, _, high = statistics.quantiles(rounds, n=4, method="inclusive") if len(rounds) > 1 else rounds * 3
    return Ratio(statistics.median(times) / statistics.median(base), low, high)


def compared(other: str, *, processor: bool = False) -> str:
    """Return the name of the ratio of this client to another one, by the clock or in processor time."""
    return f"this / {other}{', processor' if processor else ''}"


@frozen
class Aim:
    """An aim for a figure, and the figure.

    :param str text: of what, in words
    :param float value: the measured value; None: there is none
    :param float most: the most it should be
    :param float least: the least it should be
    """

    text: str
    value: float | None
    most: float | None = field(default=None, kw_only=True)
    least: float | None = field(default=None, kw_only=True)

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None: there is no figure."""
        if self.value is None:
            return None
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def bound(self) -> str:
        """The bound, as short text."""
        return f"<= {brief(self.most)}" if self.most is not None else f">= {brief(self.least or 0)}"

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        bound = {"most": self.most} if self.most is not None else {"least": self.least}
        value = None if self.value is None else round(self.value, 4)
        return {"aim": self.text, **bound, "measured": value, "met": self.is_met}

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.text} {self.bound}: not measured"
        return f"{self.text} {brief(self.value)} {self.bound}: {'met' if self.is_met else 'NOT MET'}"


@frozen
class Line:
    """The figures of one measurement.

    :param str name: what was done
    :param str unit: of the figures
    :param figures: the median of each contender, by its name
    :param ratios: by their names
    :param aims: what they should be
    """

    name: str
    unit: str
    figures: Mapping[str, float]
    ratios: Mapping[str, Ratio] = field(factory=dict[str, Ratio])
    aims: Sequence[Aim] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "unit": self.unit,
            "medians": {name: round(value, 4) for name, value in self.figures.items()},
            "ratios": {name: found.as_json() for name, found in self.ratios.items()},
            "aims": [aim.as_json() for aim in self.aims],
        }


def brief(value: float) -> str:
    """Return a number with few digits.

    >>> [brief(number) for number in (0.00412, 0.518, 3.14159, 42.42, 1234.5)]
    ['0.004', '0.52', '3.14', '42.4', '1,234']
    """
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
