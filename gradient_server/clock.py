"""Simulated time: real time, sped up by a scale, and moved forward by hand where a test cannot wait."""

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
    """What a clock showed at a moment of real time, so that another one can go on from there.

    :param datetime epoch: the date of its moment 0
    :param float passed: the simulated seconds that had gone by
    :param float scale: simulated seconds in a real second
    :param float real: when that was, in real seconds since 1970
    """

    epoch: datetime
    passed: float
    scale: float
    real: float

    def passed_at(self, real: float) -> float:
        """Say how many simulated seconds have gone by since, for the clock went on; never fewer than it showed."""
        return self.passed + max(0.0, real - self.real) * self.scale


class Clock:
    """Simulated seconds since the clock was made. Safe to use from several threads.

    :param float scale: simulated seconds in a real second
    :param Reading earlier: of the clock that this one takes over from, as if time had gone on in between
    :param float at_least: a moment that is past already, even if real time has been set back since
    :param keep: is told what the clock shows whenever it is set, before that counts
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
        self._epoch = earlier.epoch if earlier else datetime.now(UTC)
        passed = max(at_least, earlier.passed_at(time.time())) if earlier else at_least
        self._set(passed, scale, time.monotonic())

    @property
    def scale(self) -> float:
        """Simulated seconds in a real second; with 0, time stands still. A new scale counts from now on.

        :raises RuntimeError: it is fixed
        """
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._check_that_it_can_be_set()
        if not 0 <= scale < math.inf:
            raise ValueError(f"time can stand still or go forward, but not at the scale {scale}")
        with self._lock:
            now = time.monotonic()
            self._set(self._passed_at(now), scale, now)
        self._tell()

    def now(self) -> float:
        """Give the simulated seconds that have gone by."""
        with self._lock:
            return self._passed_at(time.monotonic())

    def advance(self, seconds: float) -> None:
        """Move forward at once by some simulated seconds.

        :raises RuntimeError: it is fixed
        """
        self._check_that_it_can_be_set()
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a clock can only be moved forward, not by {seconds} seconds")
        with self._lock:
            now = time.monotonic()
            self._set(self._passed_at(now) + seconds, self._scale, now)
        self._tell()

    def fix(self) -> None:
        """Have it go on as it does, and refuse to be set from now on: what happens by it cannot be hurried."""
        self._is_fixed = True

    def watch(self, act: Callable[[], None]) -> None:
        """Have this called whenever time does not go on as before: it was moved by hand, or has another scale."""
        self._watchers.append(act)

    def real_seconds_to(self, moment: float) -> float:
        """Say how many real seconds are left until a moment, if time goes on as it does now.

        Infinity: time stands still, and the moment does not come.
        """
        left, scale = moment - self.now(), self._scale
        if left <= 0:
            return 0.0
        return left / scale if scale else math.inf

    def date(self, moment: float) -> datetime:
        """Give the date, in UTC, of a moment of simulated time; the last one there is for all that come later."""
        try:
            return self._epoch + timedelta(seconds=moment)
        except OverflowError:
            return _LAST_DATE

    def _check_that_it_can_be_set(self) -> None:
        if self._is_fixed:
            raise RuntimeError("Commands run in real time: the clock cannot be moved, and has no other scale")

    def _passed_at(self, now: float) -> float:
        return self._passed + (now - self._since) * self._scale

    def _set(self, passed: float, scale: float, now: float) -> None:
        self._keep(Reading(epoch=self._epoch, passed=passed, scale=scale, real=time.time()))
        self._passed, self._scale, self._since = passed, scale, now

    def _tell(self) -> None:
        for act in self._watchers:
            act()
