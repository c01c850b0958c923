"""What settings of faults can be: a check says what is wrong with a value, or None. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar, cast

MOST_SECONDS = 3600
Check = Callable[[object], str | None]
_Value = TypeVar("_Value")


def several(given: Sequence[_Value] | _Value | None) -> tuple[_Value, ...]:
    """Write one, none or several in one form."""
    if given is None:
        return ()
    is_one = isinstance(given, str) or not isinstance(given, Sequence)
    return tuple(cast("Sequence[_Value]", [given] if is_one else given))


def span(given: Sequence[float] | float | None) -> tuple[float, float] | None:
    """Write one duration, or the least and the most of it, in one form."""
    if given is None:
        return None
    is_one = isinstance(given, str) or not isinstance(given, Sequence)
    # How many there are, and that they are numbers, is checked later.
    return cast("tuple[float, float]", (given, given) if is_one else tuple(cast("Sequence[float]", given)))


def number(least: float, most: float, text: str) -> Check:
    """Let numbers pass in these bounds."""
    return _unless(lambda value: _is_number(value, least, most), text)


def whole(least: float, most: float, text: str, *, optional: bool = False) -> Check:
    """Let whole numbers pass in these bounds."""
    return _unless(lambda value: (optional and value is None) or _is_whole(value, least, most), text)


def truth(*, optional: bool = False) -> Check:
    """Let true and false pass."""
    return _unless(lambda value: (optional and value is None) or isinstance(value, bool), "It must be true or false.")


def statuses() -> Check:
    """Let statuses of errors pass."""
    return _each(lambda value: _is_whole(value, 400, 599), "It must have statuses from 400 to 599.")


def names(known: Collection[str] | None = None) -> Check:
    """Let names pass, all or those that are known."""
    text = "It must have names." if known is None else f"It can have {', '.join(known)}."
    return _each(lambda value: isinstance(value, str) and (known is None or value in known), text)


def seconds() -> Check:
    """Let durations pass that have been written in one form."""

    def good(value: object) -> bool:
        if value is None:
            return True
        ends = cast("tuple[float, ...]", value) if isinstance(value, tuple) else ()
        return len(ends) == 2 and all(_is_number(end, 0, MOST_SECONDS) for end in ends) and ends[0] <= ends[1]

    return _unless(good, f"It must be seconds from 0 to {MOST_SECONDS}, or the least and the most of them.")


def _unless(good: Callable[[object], bool], text: str) -> Check:
    return lambda value: None if good(value) else text


def _each(good: Callable[[object], bool], text: str) -> Check:
    def all_good(values: object) -> bool:
        return isinstance(values, tuple) and all(good(value) for value in cast("tuple[object, ...]", values))

    return _unless(all_good, text)


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_whole(value: object, least: float, most: float = math.inf) -> bool:
    return isinstance(value, int) and _is_number(value, least, most)
