"""Simulated time: real time, sped up by a scale, and moved forward by hand where a test cannot wait."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Simulated seconds since the clock was made. Safe to use from several threads.

    :param float scale: simulated seconds in a real second
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._epoch = datetime.now(UTC)
        self._start = time.monotonic()
        self._advanced = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Give the simulated seconds that have gone by."""
        return (time.monotonic() - self._start) * self.scale + self._advanced

    def advance(self, seconds: float) -> None:
        """Move forward at once by some simulated seconds."""
        if seconds < 0:
            raise ValueError(f"a clock can only be moved forward, not by {seconds} seconds")
        with self._lock:
            self._advanced += seconds

    def date(self, moment: float) -> datetime:
        """Give the date, in UTC, of a moment of simulated time."""
        return self._epoch + timedelta(seconds=moment)
