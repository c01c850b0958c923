"""Simulated time: it goes forward, whatever is done to the clock."""

import math
import time
from datetime import UTC, datetime

import pytest

from gradient_server.clock import Clock


@pytest.mark.parametrize("scale", [1e-6, 0.5, 1, 1e6])
def test_a_new_scale_does_not_change_what_time_it_is(scale):
    """Time goes on from where it was, faster or slower; what has happened stays in the past."""
    clock = Clock(scale=1000.0)
    while clock.now() < 20:
        pass
    began, before = time.monotonic(), clock.now()
    clock.scale = scale
    after, ended = clock.now(), time.monotonic()
    assert 0 <= after - before <= (ended - began) * max(scale, 1000.0) + 1e-6
    assert clock.now() >= after


def test_the_scale_is_how_fast_it_goes():
    """A thousand simulated seconds take a real one."""
    clock = Clock(scale=1000.0)
    began, first = time.monotonic(), clock.now()
    while clock.now() - first < 20:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began > 0.015


def test_it_is_moved_forward_by_hand():
    """By what it is told, and never back."""
    clock = Clock(scale=1e-9)
    clock.advance(100.5)
    clock.advance(0)
    assert clock.now() == pytest.approx(100.5)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_it_can_stand_still():
    """At the scale 0 only `advance` moves it; below that there is nothing."""
    clock = Clock()
    clock.scale = 0
    stopped = clock.now()
    clock.advance(2)
    assert clock.now() == stopped + 2
    for scale in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="scale"):
            clock.scale = scale


def test_dates_are_counted_from_when_it_was_made():
    """A moment is so many seconds later, in UTC."""
    clock = Clock()
    assert abs(clock.date(0) - datetime.now(UTC)).total_seconds() < 5
    assert (clock.date(90) - clock.date(0)).total_seconds() == 90


@pytest.mark.parametrize("moment", [1e12, 1e300, float("inf")])
def test_there_is_a_last_date(moment):
    """Calendars end with the year 9999; a clock that is very fast gets there, and stays there."""
    assert Clock().date(moment).year == 9999


def test_how_long_until_a_moment():
    """In real seconds at the scale of now; what has been takes none, and nothing comes while time stands still."""
    clock = Clock(scale=1000.0)
    clock.advance(50)
    assert 9 < clock.real_seconds_to(10_000) < 10
    assert clock.real_seconds_to(clock.now()) == clock.real_seconds_to(0) == 0
    assert clock.real_seconds_to(math.inf) == math.inf
    clock.scale = 0
    assert clock.real_seconds_to(10_000) == math.inf
    assert clock.real_seconds_to(clock.now()) == 0


def test_who_watches_it_is_told():
    """When it is moved by hand or gets another scale, and then time is already as it was set."""
    clock, told = Clock(scale=1e-9), []
    clock.watch(lambda: told.append((round(clock.now()), clock.scale)))
    clock.advance(7)
    clock.scale = 0
    with pytest.raises(ValueError, match="scale"):
        clock.scale = -1
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    assert told == [(7, 1e-9), (7, 0)]
