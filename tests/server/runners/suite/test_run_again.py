"""A runner after another one, as when a server is started again, whatever that server could not tell any more."""

import pytest
from gradient_api.constants import ExperimentState as State


def test_one_that_has_ended(bench, kind):
    """It has the same states, at the same moments, and the same rows."""
    body = kind.prints(3, 1)
    run, started = bench.prepare(body), bench.clock.now()
    run.start(started)
    bench.until_ended(run)
    entered, rows, handle = list(run.transitions), bench.rows(run), bench.handle_of(run)
    bench.replace_runner()
    again = bench.prepare(body, handle=handle, started=started)
    assert list(again.transitions) == entered
    assert bench.rows(again) == rows
    assert again.jobs == run.jobs


def test_one_that_was_not_started(bench, kind):
    """It is still created, and can be started."""
    body = kind.prints(1)
    handle = bench.handle_of(bench.prepare(body))
    bench.replace_runner()
    run = bench.prepare(body, handle=handle)
    assert list(run.transitions) == []
    run.start(bench.clock.now())
    assert bench.until_ended(run) == State.STOPPED


def test_one_that_runs(bench, kind):
    """It goes on: its rows are still there, and it can be stopped."""
    body = kind.waits()
    run, started = bench.prepare(body), bench.clock.now()
    run.start(started)
    rows, handle = bench.until_printed(run), bench.handle_of(run)
    entered = list(run.transitions)
    bench.replace_runner()
    again = bench.prepare(body, handle=handle, started=started)
    bench.until_printed(again)
    assert bench.rows(again)[: len(rows)] == rows
    now = bench.clock.now()
    past = [entry for entry in entered if entry[0] <= now]
    assert list(again.transitions)[: len(past)] == past
    assert bench.state(again) == State.RUNNING
    again.stop(now)
    assert bench.until_ended(again) == State.CANCELLED


@pytest.mark.parametrize("code", [0, 1])
def test_a_start_that_was_not_told(bench, kind, code):
    """What is known to be started but has not begun is run, once the runner begins."""
    run = bench.prepare(kind.prints(2, code), started=bench.clock.now())
    assert bench.until_ended(run) == (State.FAILED if code else State.STOPPED)
    assert len(bench.rows(run)) == kind.notes + 3


def test_a_stop_that_was_not_told(bench, kind):
    """What runs and is known to be stopped is stopped."""
    body = kind.waits()
    run, started = bench.prepare(body), bench.clock.now()
    run.start(started)
    bench.until_printed(run)
    handle = bench.handle_of(run)
    bench.replace_runner()
    again = bench.prepare(body, handle=handle, started=started, stopped=bench.clock.now())
    assert bench.until_ended(again) == State.CANCELLED


def test_neither_start_nor_stop_was_told(bench, kind):
    """It does not run any more, and is canceled."""
    now = bench.clock.now()
    run = bench.prepare(kind.prints(2), started=now, stopped=now)
    assert bench.until_ended(run) == State.CANCELLED
    assert State.RUNNING not in [state for _, state in run.transitions]


def test_one_that_was_stopped_before_it_was_started(bench, kind):
    """It stays canceled, from the same moment on."""
    body = kind.prints(1)
    run, now = bench.prepare(body), bench.clock.now()
    run.stop(now)
    entered, handle = list(run.transitions), bench.handle_of(run)
    bench.replace_runner()
    assert list(bench.prepare(body, handle=handle, stopped=now).transitions) == entered


def test_what_the_server_does_not_know_any_more(bench, kind):
    """A run whose end could not be told is ended: its handle is free, and another experiment can have it."""
    run = bench.started(kind.waits())
    bench.until_printed(run)
    handle = bench.handle_of(run)
    bench.replace_runner()
    bench.begin()
    again = bench.prepare(kind.prints(2), handle=handle)
    assert list(again.transitions) == bench.rows(again) == []
    again.start(bench.clock.now())
    assert bench.until_ended(again) == State.STOPPED
    assert len(bench.rows(again)) == kind.notes + 3


def test_many_at_once(bench, kind):
    """All are taken up before the runner begins, whatever there is of them."""
    bodies = [kind.prints(1), kind.prints(2, 1), kind.cannot_be_set_up()]
    now = bench.clock.now()
    runs = [bench.prepare(body, started=now, begin=False) for body in bodies]
    created = bench.prepare(kind.prints(1), begin=False)
    bench.begin()
    assert [bench.until_ended(run) for run in runs] == [State.STOPPED, State.FAILED, State.ERROR]
    assert list(created.transitions) == []
