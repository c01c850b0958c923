"""Where numbers are on an axis, and which of them to write beside it. Pure; any finite numbers do."""

from __future__ import annotations

import math

from attrs import frozen

_MARKS = 4
_MOST_DECIMALS = 8


@frozen
class Scale:
    """An axis from a number to a larger one."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Say how far a number is along the axis: 0 at its beginning, 1 at its end."""
        # In halves: the difference of two large numbers can be too large.
        length = self.high / 2 - self.low / 2
        return min(1.0, max(0.0, (value / 2 - self.low / 2) / length)) if length else 0.5

    def marks(self) -> list[tuple[float, str]]:
        """Give a few round numbers of the axis, and how they are written.

        >>> [text for _, text in Scale(0.1, 2.3).marks()]
        ['0.5', '1', '1.5', '2']
        """
        step = _round_step((self.high / 2 - self.low / 2) / _MARKS * 2)
        if not step:
            return [(value, f"{value:g}") for value in dict.fromkeys((self.low, self.high))]
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        # Where numbers are large and close together, a step can be less than what a float tells apart.
        if last - first > 10 * _MARKS:
            return [(self.low, f"{self.low:g}")]
        decimals = -math.floor(math.log10(step))
        return [(number * step, _written(number * step, decimals)) for number in range(first, last + 1)]


def scale_of(low: float, high: float) -> Scale:
    """Give an axis for numbers from one to another; some room around them where they are the same."""
    if low < high:
        return Scale(low, high)
    room = abs(low) / 10 or 1.0
    ends = low - room, low + room
    return Scale(*ends) if all(map(math.isfinite, ends)) else Scale(low, high)


def _round_step(step: float) -> float:
    """Give 1, 2 or 5 times a power of ten, about as large as this; 0 where there is none."""
    try:
        power = 10.0 ** math.floor(math.log10(step))
    except (ValueError, OverflowError):
        return 0.0
    rounded = next((power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.75), 0.0)
    return rounded if math.isfinite(rounded) else 0.0


def _written(value: float, decimals: int) -> str:
    if not -_MOST_DECIMALS < decimals < _MOST_DECIMALS:
        return f"{value:g}"
    text = f"{value:.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
