"""What state a run is in at a moment, and when it will be in another one. Pure functions of the states it enters."""

from __future__ import annotations

import math

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import Entered


def state_at(entered: Entered, now: float) -> int:
    """Say in which state it is."""
    return next((state for moment, state in reversed(entered) if moment <= now), State.CREATED)


def entries_until(entered: Entered, now: float) -> dict[int, float]:
    """Say which states it has entered, and when, in order."""
    return {state: moment for moment, state in entered if moment <= now}


def next_state(entered: Entered, now: float) -> float | None:
    """Say when it comes into its next state; infinity: when something happens that is not known yet; None: it ended."""
    if state_at(entered, now) in TERMINAL_STATES:
        return None
    return next((moment for moment, _ in entered if moment > now), math.inf)
