"""Simulated time: real time, sped up by a scale, that tests can move forward."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from attrs import frozen

_LAST_DATE = datetime.max.replace(tzinfo=UTC)


@frozen(kw_only=True)
class Reading:
    """The state of a clock at some time, from which another clock can continue.

    :param datetime epoch: the date of its timestamp 0
    :param float passed: the simulated seconds that had passed
    :param float scale: simulated seconds in a real second
    :param float real: the real time, in seconds since 1970
    """

    epoch: datetime
    passed: float
    scale: float
    real: float

    def passed_at(self, real: float) -> float:
        """Return the simulated seconds passed at a real time, never fewer than the clock showed."""
        return self.passed + max(0.0, real - self.real) * self.scale


class Clock:
    """Simulated seconds since the clock was made. Several threads can use it.

    :param float scale: simulated seconds in a real second
    :param Reading earlier: a reading of the clock to continue, as if it had not stopped
    :param float at_least: a timestamp that is past already, even if real time has been set back since
    :param keep: is called with a reading whenever the clock is set, before that counts
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        earlier: Reading | None = None,
        at_least: float = 0.0,
        keep: Callable[[Reading], None] = lambda reading: None,
    ) -> None:
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._keep = keep
        self._is_fixed = False
        self._latest = at_least
        self._epoch = earlier.epoch if earlier else datetime.now(UTC)
        passed = max(at_least, earlier.passed_at(time.time())) if earlier else at_least
        self._set(passed, scale, time.monotonic())

    @property
    def scale(self) -> float:
        """Simulated seconds in a real second; with 0, time stands still. A new scale counts from now on.

        :raises RuntimeError: the clock is fixed
        """
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._check_not_fixed()
        if not 0 <= scale < math.inf:
            raise ValueError(f"time can stand still or go forward, but not at the scale {scale}")
        with self._lock:
            now = time.monotonic()
            self._set(self._passed_at(now), scale, now)
        self._notify()

    def now(self) -> float:
        """Return the simulated seconds that have passed; never fewer than before."""
        with self._lock:
            if self._is_fixed:
                self._latest = max(self._latest, self._machine_time())
                return self._latest
            return self._passed_at(time.monotonic())

    def timestamp(self) -> float:
        """Return the timestamp of what happens now.

        It is `now()`, but for a fixed clock of a machine whose clock was set back: a date that was wrong once does not
        make later ones wrong.
        """
        return self._machine_time() if self._is_fixed else self.now()

    def advance(self, seconds: float) -> None:
        """Move forward by some simulated seconds.

        :raises RuntimeError: the clock is fixed
        """
        self._check_not_fixed()
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a clock can only be moved forward, not by {seconds} seconds")
        with self._lock:
            now = time.monotonic()
            self._set(self._passed_at(now) + seconds, self._scale, now)
        self._notify()

    def fix(self) -> None:
        """Show the time of the machine from now on, and reject a new scale and `advance`: commands run in real time."""
        self._is_fixed = True

    def watch(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each `advance` and each change of the scale."""
        self._watchers.append(callback)

    def real_seconds_to(self, timestamp: float) -> float:
        """Return the real seconds until a timestamp, at the present scale; infinity if time stands still."""
        left, scale = timestamp - self.now(), self._scale
        if left <= 0:
            return 0.0
        return left / scale if scale else math.inf

    def date(self, timestamp: float) -> datetime:
        """Return the date of a timestamp in UTC; after the year 9999, the last date there is."""
        try:
            return self._epoch + timedelta(seconds=timestamp)
        except OverflowError:
            return _LAST_DATE

    def _check_not_fixed(self) -> None:
        if self._is_fixed:
            raise RuntimeError("Commands run in real time: the clock cannot be moved, and has no other scale")

    def _machine_time(self) -> float:
        return time.time() - self._epoch.timestamp()

    def _passed_at(self, now: float) -> float:
        return self._passed + (now - self._since) * self._scale

    def _set(self, passed: float, scale: float, now: float) -> None:
        self._keep(Reading(epoch=self._epoch, passed=passed, scale=scale, real=time.time()))
        self._passed, self._scale, self._since = passed, scale, now

    def _notify(self) -> None:
        for callback in self._watchers:
            callback()
