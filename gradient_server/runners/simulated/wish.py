"""What a simulated run is asked to do, in the GRADIENT_MOCK variables of its experiment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.simulated.lifecycle import Plan

OUTCOMES = {State.get_state_str(state): state for state in (State.STOPPED, State.FAILED, State.ERROR)}
DEFAULT_SECONDS = 20.0
DEFAULT_ROWS = 20
MOST_ROWS = 10**9
MOST_SECONDS = 10.0**9
_MEMBER = "experimentEnv"


@frozen(kw_only=True)
class Wish:
    """What the creator of an experiment wants of its simulated run."""

    plan: Plan
    rows: int


def wish_of(body: Mapping[str, Any]) -> Wish:
    """Read the GRADIENT_MOCK variables of an experiment.

    :raises RunRejectedError: one of them is wrong; the text says which and what would be right
    """
    environment: Mapping[str, Any] = body.get(_MEMBER) or {}
    outcome = str(environment.get("GRADIENT_MOCK_OUTCOME", State.get_state_str(State.STOPPED)))
    if outcome not in OUTCOMES:
        raise RunRejectedError(f"GRADIENT_MOCK_OUTCOME must be one of {', '.join(OUTCOMES)}.", _MEMBER)
    seconds = _number(environment, "GRADIENT_MOCK_SECONDS", DEFAULT_SECONDS, MOST_SECONDS)
    rows = _number(environment, "GRADIENT_MOCK_LOG_LINES", DEFAULT_ROWS, MOST_ROWS)
    if rows != int(rows):
        raise RunRejectedError("GRADIENT_MOCK_LOG_LINES must be a whole number.", _MEMBER)
    return Wish(plan=Plan(seconds=seconds, outcome=OUTCOMES[outcome]), rows=int(rows))


def _number(environment: Mapping[str, Any], name: str, default: float, most: float) -> float:
    given = environment.get(name, default)
    try:
        value = math.nan if isinstance(given, bool) or given is None else float(given)
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= most:
        raise RunRejectedError(f"{name} must be a number from 0 to {most:.0f}.", _MEMBER)
    return value
