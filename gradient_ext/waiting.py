"""When an experiment has ended, and how long to pause between two looks at it. No I/O."""

from __future__ import annotations

from attrs import define, field
from gradient_api.constants import TERMINAL_STATES

SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
_GROWTH = 1.5


def has_ended(state: int) -> bool:
    """Say whether an experiment in this state will not change any more.

    >>> from gradient import constants
    >>> has_ended(constants.ExperimentState.STOPPED), has_ended(constants.ExperimentState.RUNNING)
    (True, False)
    """
    return state in TERMINAL_STATES


@define
class Pacing:
    """Pauses, in seconds, that grow while nothing happens."""

    _pause: float = field(default=SHORTEST_PAUSE, init=False)

    def next_pause(self) -> float:
        """Say how long to pause now; the next pause is longer."""
        pause = self._pause
        self._pause = min(pause * _GROWTH, LONGEST_PAUSE)
        return pause

    def reset(self) -> None:
        """Begin with short pauses again: something has happened."""
        self._pause = SHORTEST_PAUSE
