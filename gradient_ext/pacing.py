"""How long to pause between two looks at the same thing. No I/O."""

from __future__ import annotations

from attrs import define, field

SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
_GROWTH = 1.5


@define
class Pacing:
    """Pauses, in seconds, that grow while nothing happens."""

    pause: float = field(default=SHORTEST_PAUSE, init=False)
    """How long the next one is."""

    def next_pause(self) -> float:
        """Say how long to pause now; the next pause is longer."""
        pause = self.pause
        self.pause = min(pause * _GROWTH, LONGEST_PAUSE)
        return pause

    def reset(self) -> None:
        """Begin with short pauses again: something has happened."""
        self.pause = SHORTEST_PAUSE
