"""When there will be something new to say of an experiment. Pure: this is what a long poll waits for."""

from __future__ import annotations

import math

from gradient_api.constants import TERMINAL_STATES

from gradient_server.lifecycle import Life
from gradient_server.simulation import Log, Wish


def next_state(life: Life, now: float) -> float | None:
    """Say when it comes into its next state; infinity: when somebody does something; None: it has ended."""
    if _has_ended(life, now):
        return None
    return next((moment for moment, _ in life.entered if moment > now), math.inf)


def next_row(wish: Wish, life: Life, line: int, now: float) -> float | None:
    """Say when there is a row after a line, or the run ends without one.

    Infinity: when somebody does something. None: it has ended. A moment that has gone by: the row is there.
    """
    if _has_ended(life, now):
        return None
    end = life.entered[-1][0] if life.entered else math.inf
    return min(Log(wish, life).appears(line + 1), end)


def _has_ended(life: Life, now: float) -> bool:
    return life.state(now) in TERMINAL_STATES
