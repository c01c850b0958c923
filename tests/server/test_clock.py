"""Simulated time goes forward only, whatever is done to the clock."""

import math
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from gradient_server.clock import Clock, Reading


@pytest.mark.parametrize("scale", [1e-6, 0.5, 1, 1e6])
def test_a_new_scale_does_not_change_the_present_time(scale):
    clock = Clock(scale=1000.0)
    while clock.now() < 20:
        pass
    began, before = time.monotonic(), clock.now()
    clock.scale = scale
    after, ended = clock.now(), time.monotonic()
    assert 0 <= after - before <= (ended - began) * max(scale, 1000.0) + 1e-6
    assert clock.now() >= after


def test_the_scale_is_the_simulated_seconds_in_a_real_one():
    clock = Clock(scale=1000.0)
    began, first = time.monotonic(), clock.now()
    while clock.now() - first < 20:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began > 0.015


def test_advance_moves_it_forward_only():
    clock = Clock(scale=1e-9)
    clock.advance(100.5)
    clock.advance(0)
    assert clock.now() == pytest.approx(100.5)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)


def test_at_scale_0_only_advance_moves_it():
    clock = Clock()
    clock.scale = 0
    stopped = clock.now()
    clock.advance(2)
    assert clock.now() == stopped + 2
    for scale in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="scale"):
            clock.scale = scale


def test_dates_count_from_when_it_was_made():
    clock = Clock()
    assert abs(clock.date(0) - datetime.now(UTC)).total_seconds() < 5
    assert (clock.date(90) - clock.date(0)).total_seconds() == 90


@pytest.mark.parametrize("timestamp", [1e12, 1e300, float("inf")])
def test_the_last_date_is_in_the_year_9999(timestamp):
    assert Clock().date(timestamp).year == 9999


def test_real_seconds_to_a_timestamp_follow_from_the_scale():
    clock = Clock(scale=1000.0)
    clock.advance(50)
    assert 9 < clock.real_seconds_to(10_000) < 10
    assert clock.real_seconds_to(clock.now()) == clock.real_seconds_to(0) == 0
    assert clock.real_seconds_to(math.inf) == math.inf
    clock.scale = 0
    assert clock.real_seconds_to(10_000) == math.inf
    assert clock.real_seconds_to(clock.now()) == 0


def test_a_clock_that_continues_is_not_set_back_with_the_clock_of_the_machine():
    reading = Reading(epoch=datetime.now(UTC), passed=50.0, scale=2.0, real=1000.0)
    assert [reading.passed_at(real) for real in (0.0, 999.0, 1000.0, 1010.0)] == [50.0, 50.0, 50.0, 70.0]
    later = Reading(epoch=datetime.now(UTC), passed=50.0, scale=2.0, real=time.time() + 3600)
    assert 50 <= Clock(1e-9, earlier=later).now() < 51
    assert 80 <= Clock(1e-9, earlier=later, at_least=80.0).now() < 81


def test_watchers_are_called_after_it_was_set():
    clock, seen = Clock(scale=1e-9), []
    clock.watch(lambda: seen.append((round(clock.now()), clock.scale)))
    clock.advance(7)
    clock.scale = 0
    with pytest.raises(ValueError, match="scale"):
        clock.scale = -1
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    assert seen == [(7, 1e-9), (7, 0)]


@pytest.fixture
def machine(monkeypatch):
    """The clock of the machine, which can be set: `machine.ahead` of the real one by some seconds."""
    machine = SimpleNamespace(ahead=0.0, monotonic=time.monotonic)
    machine.time = lambda: time.time() + machine.ahead
    monkeypatch.setattr("gradient_server.clock.time", machine)
    return machine


def test_a_fixed_clock_shows_the_time_of_the_machine_and_does_not_go_back(machine):
    clock = Clock()
    clock.fix()
    machine.ahead = 1000
    assert clock.now() == pytest.approx(1000, abs=5)
    assert clock.timestamp() == pytest.approx(1000, abs=5)
    before, machine.ahead = clock.now(), -500
    assert clock.now() == before
    assert clock.timestamp() == pytest.approx(-500, abs=5)
    machine.ahead = 2000
    assert clock.now() == pytest.approx(2000, abs=5)


@pytest.mark.parametrize("ahead", [-400 * 86400, 400 * 86400])
def test_the_next_fixed_clock_shows_the_right_time_if_that_of_the_machine_was_wrong_once(machine, ahead):
    kept = []
    Clock(keep=kept.append).fix()
    machine.ahead = ahead
    Clock(earlier=kept[-1], keep=kept.append).fix()
    machine.ahead = 0
    clock = Clock(earlier=kept[-1], keep=kept.append)
    clock.fix()
    assert clock.timestamp() == pytest.approx(0, abs=5)
    assert abs(clock.date(clock.timestamp()) - datetime.now(UTC)).total_seconds() < 5


def test_what_happens_in_simulated_time_has_its_timestamp():
    clock = Clock(scale=1e-9)
    clock.advance(50)
    assert clock.timestamp() == pytest.approx(50)
