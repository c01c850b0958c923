"""The states of an experiment: which are final, which are failures, what they are called and how they are styled."""

from __future__ import annotations

from typing import Literal

from gradient_api.constants import TERMINAL_STATES, ExperimentState, ExperimentType

__all__ = [
    "FAILED_STATES",
    "TERMINAL_STATES",
    "ExperimentState",
    "ExperimentType",
    "Style",
    "has_ended",
    "has_failed",
    "state_style",
    "state_word",
]

Style = Literal["going", "succeeded", "failed", "quiet"]
"""How a state is displayed: each style has a colour."""

FAILED_STATES = frozenset((ExperimentState.ERROR, ExperimentState.FAILED))
"""The command failed, or the experiment could not be run."""

_QUIET_STATES = (ExperimentState.CREATED, ExperimentState.CANCELLED)
_UNDEFINED = ExperimentState.get_state_str(None)


def has_failed(state: int) -> bool:
    """Whether an experiment in this state has failed."""
    return state in FAILED_STATES


def has_ended(state: int) -> bool:
    """Whether an experiment in this state has ended, in whatever way.

    >>> has_ended(ExperimentState.STOPPED), has_ended(ExperimentState.RUNNING)
    (True, False)
    """
    return state in TERMINAL_STATES


def state_word(state: int) -> str:
    """Return the word for a state, also for one that only a newer server knows.

    >>> state_word(4), state_word(77)
    ('running', 'in state 77')
    """
    word = ExperimentState.get_state_str(state)
    return f"in state {state}" if word == _UNDEFINED else word


def state_style(state: int) -> Style | None:
    """Return the style of a state; None for an unknown state."""
    if has_failed(state):
        return "failed"
    if state in _QUIET_STATES:
        return "quiet"
    if has_ended(state):
        return "succeeded"
    return "going" if ExperimentState.get_state_str(state) != _UNDEFINED else None
