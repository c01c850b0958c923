"""A runner that takes over from another one, as when a server is started again, whatever that one was not told."""

import pytest
from gradient_api.constants import ExperimentState as State


def states_of(run):
    return [state for _, state in run.transitions]


def test_an_ended_run_has_the_same_jobs_states_and_rows(bench, kind):
    body, started = kind.succeeds(), bench.clock.now()
    run = bench.admit(body)
    run.start(started)
    bench.until_ended(run)
    transitions, rows, handle = list(run.transitions), bench.rows(run), bench.handle_of(run)
    bench.replace_runner()
    again = bench.admit(body, handle=handle, started=started)
    assert (again.jobs, list(again.transitions), bench.rows(again)) == (run.jobs, transitions, rows)
    now = bench.clock.now()
    assert again.exit_code(now) == run.exit_code(now)


def test_a_run_that_was_not_started_can_be_started(bench, kind):
    handle = bench.handle_of(bench.admit(kind.succeeds()))
    bench.replace_runner()
    run = bench.admit(kind.succeeds(), handle=handle)
    assert list(run.transitions) == []
    run.start(bench.clock.now())
    assert bench.until_ended(run) == State.STOPPED


def test_a_run_that_was_cancelled_before_its_start_stays_cancelled(bench, kind):
    run, now = bench.admit(kind.succeeds()), bench.clock.now()
    run.stop(now)
    transitions, handle = list(run.transitions), bench.handle_of(run)
    bench.replace_runner()
    assert list(bench.admit(kind.succeeds(), handle=handle, stopped=now).transitions) == transitions


def test_runs_that_were_to_start_run_once_the_runner_recovers(bench, kind):
    now = bench.clock.now()
    runs = [bench.admit(kind.succeeds(), started=now, recover=False) for _ in range(2)]
    created = bench.admit(kind.succeeds(), recover=False)
    bench.recover()
    assert [bench.until_ended(run) for run in runs] == [State.STOPPED] * 2
    assert list(created.transitions) == []


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_was_to_start_runs_once(bench, prints, code):
    run = bench.admit(prints(2, code), started=bench.clock.now())
    assert bench.until_ended(run) == (State.FAILED if code else State.STOPPED)
    assert bench.printed(run) == 2


def test_a_run_that_was_to_start_and_to_stop_is_cancelled(bench, waits):
    now = bench.clock.now()
    run = bench.admit(waits(), started=now, stopped=now)
    assert bench.until_ended(run) == State.CANCELLED
    assert State.RUNNING not in states_of(run)


def test_a_running_run_goes_on_with_its_states_and_rows(bench, waits):
    run, started = bench.admit(waits()), bench.clock.now()
    run.start(started)
    rows, handle, transitions = bench.until_printed(run), bench.handle_of(run), list(run.transitions)
    bench.replace_runner()
    again = bench.admit(waits(), handle=handle, started=started)
    bench.until_printed(again)
    now = bench.clock.now()
    past = [transition for transition in transitions if transition[0] <= now]
    assert list(again.transitions)[: len(past)] == past
    assert bench.rows(again)[: len(rows)] == rows
    assert bench.state(again) == State.RUNNING
    again.stop(now)
    assert bench.until_ended(again) == State.CANCELLED


def test_a_running_run_that_was_to_stop_is_cancelled(bench, waits):
    run, started = bench.admit(waits()), bench.clock.now()
    run.start(started)
    bench.until_printed(run)
    handle = bench.handle_of(run)
    bench.replace_runner()
    again = bench.admit(waits(), handle=handle, started=started, stopped=bench.clock.now())
    assert bench.until_ended(again) == State.CANCELLED


def test_a_running_run_that_the_server_does_not_know_is_ended_and_its_handle_is_free(bench, prints, waits):
    run = bench.start(waits())
    bench.until_printed(run)
    handle = bench.handle_of(run)
    bench.replace_runner()
    bench.recover()
    again = bench.admit(prints(2), handle=handle)
    assert list(again.transitions) == bench.rows(again) == []
    again.start(bench.clock.now())
    assert bench.until_ended(again) == State.STOPPED
    assert bench.printed(again) == 2
