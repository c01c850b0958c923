r"""Numbers in log rows: `loss 0.12`, `loss=0.12`, `"loss": 0.12`, `val loss: 12%`, `epoch 7/30`. Pure.

A number belongs to the word before it. What only looks like a number is none: dates, times, versions, `3x`, `K80`.
"""

from __future__ import annotations

import math
import re

LONGEST = 1_000
"""How many characters of a row are looked at."""
STEPS = ("global_step", "step", "steps", "iteration", "iter", "batch", "epoch")
"""Names of numbers that say how far it is, those first that count more often."""

PARTS = ("training", "train", "validation", "valid", "val", "testing", "test", "evaluation", "eval", "dev", "best")
"""What a loss, say, may be about; it is part of the name then."""
_NUMBERS = re.compile(
    rf"""
    (?<![\w.@/%-])                            # a word begins here,
    (?:(?P<part>{"|".join(PARTS)})[ ]{{1,2}})?         # of several that have a loss say, the one that this is about
    (?P<name>[^\W\d][\w.@/%-]{{0,39}})
    (?: ["']?\s{{0,8}}[:=]\s{{0,8}}["'\[(]{{0,2}} | \s{{1,8}} )
    (?P<number> [-+]? (?: [0-9]{{1,40}}(?:\.[0-9]{{0,40}})? | \.[0-9]{{1,40}} ) (?:e[-+]?[0-9]{{1,4}})? ) %?
    (?! \w | [.,:-][0-9] )                    # and not in the middle of a version, a date or a time
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}m")


def numbers_in(message: str) -> dict[str, float]:
    """Give the numbers of a row by their names; of a name that comes twice, the last one.

    >>> numbers_in("epoch  7/30  loss 0.1234  val loss: 0.2  accuracy=95.5%")
    {'epoch': 7.0, 'loss': 0.1234, 'val loss': 0.2, 'accuracy': 95.5}
    """
    # Colours are between a name and its number, mostly; a row with none is left as it is, and soon.
    message = message[:LONGEST]
    text = _COLOURS.sub("", message) if "\x1b" in message else message
    found: dict[str, float] = {}
    for match in _NUMBERS.finditer(text):
        value = float(match["number"])
        if math.isfinite(value):
            name = match["name"]
            is_step = name.casefold() in STEPS
            found[name.casefold() if is_step else f"{match['part']} {name}" if match["part"] else name] = value
    return found
