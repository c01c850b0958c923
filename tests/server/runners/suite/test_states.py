"""The states of a run, stopping and deleting it, and what is reported of its changes."""

import math
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import RunRejectedError, next_state_at
from tests.server.runners.suite.conftest import ALL

DOCUMENTED_ORDER = [
    State.PENDING,
    State.PROVISIONING,
    State.PROVISIONED,
    State.NETWORK_SETTING_UP,
    State.NETWORK_SETUP,
    State.RUNNING,
    State.NETWORK_TEARING_DOWN,
    State.NETWORK_TEARDOWN,
]


def states_of(run):
    return [state for _, state in run.transitions]


def assert_documented_order(run):
    """From pending to a terminal state, each state at most once, and timestamps in order."""
    *before, last = states_of(run)
    assert before[0] == State.PENDING
    assert before == [state for state in DOCUMENTED_ORDER if state in before]
    assert last in TERMINAL_STATES
    assert list(run.transitions) == sorted(run.transitions, key=lambda transition: transition[0])


def test_a_run_that_is_not_started_is_created_and_announces_nothing(bench, kind):
    run = bench.admit(kind.succeeds())
    now = bench.clock.now()
    assert run.jobs
    assert list(run.transitions) == bench.rows(run) == []
    assert run.error(now) is None
    assert next_state_at(run.transitions, now) == run.next_row_at(0, now) == math.inf


def test_a_started_run_is_pending_runs_and_stops_in_the_documented_order(bench, kind):
    """There is no error meanwhile, and what was seen of the past is seen again."""
    run = bench.start(kind.succeeds())
    assert run.transitions[0] == (pytest.approx(bench.clock.now(), abs=1), State.PENDING)
    errors, seen = set(), []

    def has_ended():
        now = bench.clock.now()
        errors.add(run.error(now))
        seen.append([transition for transition in run.transitions if transition[0] <= now])
        return bench.state(run) in TERMINAL_STATES

    bench.until(run, has_ended)
    assert bench.state(run) == State.STOPPED
    assert errors == {None}
    assert all(after[: len(before)] == before for before, after in pairwise(seen))
    assert_documented_order(run)
    assert State.RUNNING in states_of(run)
    assert run.exit_code(bench.clock.now()) in (0, None)
    assert run.transitions[-1][0] <= bench.clock.now()
    assert next_state_at(run.transitions, bench.clock.now()) is None


@pytest.mark.parametrize("code", [1, 137])
def test_a_command_with_another_exit_code_than_0_fails(bench, prints, code):
    run = bench.finish(prints(2, code))
    assert bench.state(run) == State.FAILED
    assert run.exit_code(bench.clock.now()) in (code, 1)
    assert_documented_order(run)
    assert State.RUNNING in states_of(run)


def test_a_run_that_cannot_be_set_up_ends_with_an_error_and_never_runs(bench, cannot_be_set_up):
    run = bench.finish(cannot_be_set_up())
    assert bench.state(run) == State.ERROR
    assert run.error(bench.clock.now())
    assert_documented_order(run)
    assert State.RUNNING not in states_of(run)
    assert END_OF_LOG not in [row.message for _, row in bench.rows(run)][:-1]
    assert run.next_row_at(0, bench.clock.now()) is None


def test_a_request_is_rejected_by_field_and_the_next_one_accepted(bench, kind, is_rejected):
    field, body = is_rejected()
    with pytest.raises(RunRejectedError, match=r"\.$") as caught:
        bench.admit(body)
    assert caught.value.member == field
    assert bench.until_ended(bench.start(kind.succeeds())) == State.STOPPED


def test_runs_do_not_disturb_each_other(bench, prints, waits):
    waiting = bench.start(waits())
    runs = [bench.start(prints(rows, code)) for rows, code in ((1, 0), (2, 1), (3, 0))]
    bench.until_printed(waiting)
    assert [bench.until_ended(run) for run in runs] == [State.STOPPED, State.FAILED, State.STOPPED]
    assert [bench.printed(run) for run in runs] == [1, 2, 3]
    assert len({job.id for run in (waiting, *runs) for job in run.jobs}) == 4


def test_stopping_a_run_that_is_not_started_cancels_it_at_once(bench, kind):
    run = bench.admit(kind.succeeds())
    run.stop(bench.clock.now())
    assert states_of(run) == [State.CANCELLED]
    assert (bench.state(run), bench.rows(run)) == (State.CANCELLED, [])
    assert run.next_row_at(0, bench.clock.now()) is None


def test_stopping_a_run_that_has_ended_changes_nothing(bench, kind):
    run = bench.finish(kind.succeeds())
    transitions, rows = list(run.transitions), bench.rows(run)
    run.stop(bench.clock.now())
    assert (list(run.transitions), bench.rows(run)) == (transitions, rows)


def test_stopping_right_after_the_start_cancels_the_run(bench, waits):
    run = bench.start(waits())
    run.stop(bench.clock.now())
    assert bench.until_ended(run) == State.CANCELLED
    assert states_of(run)[0] == State.PENDING


def test_stopping_a_running_run_twice_tears_it_down_once_and_keeps_its_rows(bench, waits):
    run = bench.start(waits())
    bench.until_state(run, State.RUNNING)
    before = bench.until_printed(run)
    run.stop(bench.clock.now())
    run.stop(bench.clock.now())
    assert bench.until_ended(run) == State.CANCELLED
    assert_documented_order(run)
    rows = bench.rows(run)
    assert rows[: len(before)] == before
    assert rows[-1][1].message == END_OF_LOG


def test_a_deleted_run_still_answers_and_its_handle_is_free(bench, kind):
    for make in (bench.admit, bench.start, bench.finish):
        run = make(kind.succeeds())
        handle, now = bench.delete(run), bench.clock.now()
        assert isinstance(list(run.transitions), list)
        assert isinstance(run.rows(0, ALL, now), list)
        assert isinstance(run.next_row_at(0, now), float | None)
        assert isinstance(run.error(now), str | None)
        again = bench.admit(kind.succeeds(), handle=handle)
        assert list(again.transitions) == bench.rows(again) == []
        again.start(bench.clock.now())
        assert bench.until_ended(again) == State.STOPPED


def test_deleting_a_running_run_disturbs_no_other_and_frees_its_handle(bench, prints, waits):
    other, run = bench.start(waits()), bench.start(waits())
    bench.until_printed(run)
    again = bench.admit(prints(2), handle=bench.delete(run))
    assert list(again.transitions) == bench.rows(again) == []
    again.start(bench.clock.now())
    assert bench.until_ended(again) == State.STOPPED
    assert bench.printed(again) == 2
    rows = bench.until_printed(other)
    other.stop(bench.clock.now())
    assert bench.until_ended(other) == State.CANCELLED
    assert bench.rows(other)[: len(rows)] == rows


def test_a_poll_for_states_is_woken_for_the_last_one(bench, kind):
    run = bench.start(kind.succeeds())
    bench.poll(lambda: next_state_at(run.transitions, bench.clock.now()))
    assert bench.state(run) == State.STOPPED


def test_a_poll_for_states_is_woken_by_a_stop(bench, waits):
    run = bench.start(waits())
    bench.until_state(run, State.RUNNING)
    run.stop(bench.clock.now())
    bench.poll(lambda: next_state_at(run.transitions, bench.clock.now()))
    assert bench.state(run) == State.CANCELLED


def test_only_changes_of_admitted_runs_are_reported(bench, kind):
    runs = [bench.finish(kind.succeeds()) for _ in range(2)]
    assert bench.changed_handles <= {bench.handle_of(run) for run in runs}
