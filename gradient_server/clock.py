"""Simulated time: real time, sped up by a scale, and moved forward by hand where a test cannot wait."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta

_LAST_DATE = datetime.max.replace(tzinfo=UTC)


class Clock:
    """Simulated seconds since the clock was made. Safe to use from several threads.

    :param float scale: simulated seconds in a real second
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._epoch = datetime.now(UTC)
        self._scale = scale
        self._since = time.monotonic()
        self._passed = 0.0
        self._lock = threading.Lock()

    @property
    def scale(self) -> float:
        """Simulated seconds in a real second; with 0, time stands still. A new scale counts from now on."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        if not 0 <= scale < math.inf:
            raise ValueError(f"time can stand still or go forward, but not at the scale {scale}")
        with self._lock:
            now = time.monotonic()
            self._passed += (now - self._since) * self._scale
            self._since, self._scale = now, scale

    def now(self) -> float:
        """Give the simulated seconds that have gone by."""
        with self._lock:
            return self._passed + (time.monotonic() - self._since) * self._scale

    def advance(self, seconds: float) -> None:
        """Move forward at once by some simulated seconds."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a clock can only be moved forward, not by {seconds} seconds")
        with self._lock:
            self._passed += seconds

    def date(self, moment: float) -> datetime:
        """Give the date, in UTC, of a moment of simulated time; the last one there is for all that come later."""
        try:
            return self._epoch + timedelta(seconds=moment)
        except OverflowError:
            return _LAST_DATE
