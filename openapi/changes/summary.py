"""All changes as a few lines for a person."""

from __future__ import annotations

from collections.abc import Sequence

from changes.change import Change

_WIDEST = 48
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def summary(changes: Sequence[Change], texts: int, *, coloured: bool = False) -> str:
    """List the changes, aligned, and end with whether old callers break.

    :param changes: what changed
    :param int texts: how many descriptions, examples and links changed
    :param bool coloured: whether the terminal shows colours
    """
    lines = [line for change in changes for line in _lines(change, _width(changes), coloured=coloured)]
    if texts:
        lines.append(f"  changed  {texts} of the descriptions, examples and links")
    if not lines:
        lines = ["  nothing changed"]
    return "\n".join([*lines, _verdict(changes, coloured=coloured)])


def _width(changes: Sequence[Change]) -> int:
    return max((len(change.where) for change in changes if len(change.where) <= _WIDEST), default=0)


def _lines(change: Change, width: int, *, coloured: bool) -> list[str]:
    margin = " " * (len("  removed  ") + width + 2)
    head = f"  {change.kind:<7}  {change.where}"
    lines = [f"{head:<{len(margin)}}{change.sentence}"]
    if len(head) + 2 > len(margin):
        lines = [head, f"{margin}{change.sentence}"]
    if change.breaks:
        lines.append(margin + _painted(f"breaks: {change.breaks}", _RED, coloured=coloured))
    return lines


def _verdict(changes: Sequence[Change], *, coloured: bool) -> str:
    breaking = sum(bool(change.breaks) for change in changes)
    if not breaking:
        return _painted("Old callers do not break.", _GREEN, coloured=coloured)
    return _painted(f"Old callers break: {breaking} of {len(changes)} changes.", _RED, coloured=coloured)


def _painted(text: str, colour: str, *, coloured: bool) -> str:
    return f"{colour}{text}{_PLAIN}" if coloured else text
