"""The states of a run: which, in what order, and which outcome."""

import math
from itertools import pairwise

import pytest
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import RunRejectedError, next_state_at

# As the contract tells it in the description of the states; one of those that end a run comes last.
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


def assert_documented(entered):
    """The documented order, from pending to an end, each state at most once, and moments that do not go back."""
    *before, last = [state for _, state in entered]
    assert before[0] == State.PENDING
    assert before == [state for state in DOCUMENTED_ORDER if state in before]
    assert last in TERMINAL_STATES
    moments = [moment for moment, _ in entered]
    assert moments == sorted(moments)


def test_before_it_is_started(bench, kind):
    """It is created, prints nothing, and nothing will happen by itself."""
    run = bench.prepare(kind.prints(3))
    now = bench.clock.now()
    assert list(run.transitions) == []
    assert run.error(now) is None
    assert bench.rows(run) == []
    assert next_state_at(run.transitions, now) == run.next_row_at(0, now) == math.inf
    assert run.jobs


@pytest.mark.parametrize(("code", "outcome"), [(0, State.STOPPED), (1, State.FAILED), (137, State.FAILED)])
def test_a_run(bench, kind, code, outcome):
    """It is pending when it is started, enters states in the documented order, and ends as its exit code says."""
    run = bench.started(kind.prints(2, code))
    started = bench.clock.now()
    assert run.transitions[0] == (pytest.approx(started, abs=1), State.PENDING)
    assert bench.until_ended(run) == outcome
    assert_documented(run.transitions)
    assert State.RUNNING in [state for _, state in run.transitions]
    assert run.transitions[-1][0] <= bench.clock.now()
    assert next_state_at(run.transitions, bench.clock.now()) is None


def test_what_cannot_be_set_up(bench, kind):
    """It ends with an error that says why, and has not run."""
    run = bench.started(kind.cannot_be_set_up())
    assert bench.until_ended(run) == State.ERROR
    assert_documented(run.transitions)
    assert State.RUNNING not in [state for _, state in run.transitions]
    assert run.error(bench.clock.now())


def test_a_run_that_is_no_error_has_none(bench, kind):
    """Neither while it runs nor when it has ended well is anything said to be wrong."""
    run = bench.started(kind.prints(2))
    errors = set()
    bench.until(run, lambda: errors.add(run.error(bench.clock.now())) or bench.state(run) in TERMINAL_STATES)
    assert errors == {None}


def test_what_was_entered_stays(bench, kind):
    """However often one looks: what was told of the past is told again."""
    run = bench.started(kind.prints(3))
    looks = []

    def look():
        now = bench.clock.now()
        looks.append([entry for entry in run.transitions if entry[0] <= now])
        return bench.state(run) in TERMINAL_STATES

    bench.until(run, look)
    for before, after in pairwise(looks):
        assert after[: len(before)] == before


def test_what_is_refused(bench, kind):
    """It is not taken, and the text and the member say why; another one is taken after that."""
    member, body = kind.is_refused()
    with pytest.raises(RunRejectedError) as caught:
        bench.prepare(body)
    assert caught.value.member == member
    assert str(caught.value).endswith(".")
    assert bench.until_ended(bench.started(kind.prints(1))) == State.STOPPED


def test_several_at_once(bench, kind):
    """Each has its own states and rows; one that fails or waits does not disturb another."""
    waiting = bench.started(kind.waits())
    runs = [bench.started(kind.prints(rows, code)) for rows, code in ((1, 0), (2, 1), (3, 0))]
    bench.until_printed(waiting)
    assert [bench.until_ended(run) for run in runs] == [State.STOPPED, State.FAILED, State.STOPPED]
    assert [len(bench.rows(run)) - kind.notes for run in runs] == [2, 3, 4]
    assert len({job.id for run in (waiting, *runs) for job in run.jobs}) == 4
