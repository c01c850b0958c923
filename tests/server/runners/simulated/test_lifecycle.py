"""Lives of experiments: for any plan, and whenever they are started, stopped and looked at."""

import pytest
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import entries_until, state_at
from gradient_server.runners.simulated.lifecycle import Life, Plan

# As the contract tells it in the description of the states.
DOCUMENTED_ORDER = [
    State.CREATED,
    State.PENDING,
    State.PROVISIONING,
    State.PROVISIONED,
    State.NETWORK_SETTING_UP,
    State.NETWORK_SETUP,
    State.RUNNING,
    State.NETWORK_TEARING_DOWN,
    State.NETWORK_TEARDOWN,
]
SECONDS = st.sampled_from([0.0, 5e-324, 1e-9, 1.0, 20.0, 1e9]) | st.floats(0, 1e9)
MOMENTS = st.floats(0, 1e9)
OUTCOMES = st.sampled_from([State.STOPPED, State.FAILED, State.ERROR])
PLANS = st.builds(Plan, seconds=SECONDS, outcome=OUTCOMES)


@st.composite
def moments_of(draw, plan, started):
    """Moments at which something is about to happen to a run, has just happened, or at any other time."""
    entered = [moment for moment, _ in Life(plan=plan, started=started).transitions]
    share = draw(st.floats(0, 1.5))
    return draw(st.sampled_from([started, *entered, started + plan.seconds * share, started + plan.seconds + 1]))


@st.composite
def lives(draw):
    plan, started = draw(PLANS), draw(MOMENTS)
    stopped = draw(st.none() | moments_of(plan, started))
    return Life(plan=plan, started=started, stopped=stopped)


def states(life, moments):
    return [state_at(life.transitions, moment) for moment in sorted(moments)]


@given(life=lives(), looks=st.lists(MOMENTS | st.floats(0, 2), max_size=20))
def test_states_come_in_the_documented_order(life, looks):
    """Every state at most once, none before those that come before it, one that ends it at last, and that for good."""
    looks = [
        *looks,
        *(moment for moment, _ in life.transitions),
        life.started - 1,
        life.started + life.plan.seconds + 1,
    ]
    seen = list(dict.fromkeys(states(life, looks)))
    *before, last = seen
    assert [state for state in DOCUMENTED_ORDER if state in before] == before
    assert last in TERMINAL_STATES
    assert seen[0] == State.CREATED or life.started == 0
    assert states(life, looks)[-1] == state_at(life.transitions, 1e12)


@given(life=lives())
def test_moments_do_not_go_back(life):
    """What comes later has a later moment, or the same."""
    moments = [moment for moment, _ in life.transitions]
    assert moments == sorted(moments)
    assert moments[0] == life.started


@given(plan=PLANS, started=MOMENTS)
def test_a_run_that_nobody_stops(plan, started):
    """It goes through every state, and after the seconds that were asked for it has ended as it was asked to."""
    life = Life(plan=plan, started=started)
    assert state_at(life.transitions, started + plan.seconds) == plan.outcome
    entered = [state for _, state in life.transitions]
    if plan.outcome == State.ERROR:
        assert entered == [*DOCUMENTED_ORDER[1:4], State.ERROR]
        assert life.running is None
    else:
        assert entered == [*DOCUMENTED_ORDER[1:], plan.outcome]


@given(data=st.data(), plan=PLANS, started=MOMENTS)
def test_stopping(data, plan, started):
    """Before it runs, it is canceled at once; while it runs, when it is torn down; after that nothing changes."""
    undisturbed = Life(plan=plan, started=started)
    stopped = data.draw(moments_of(plan, started))
    life = Life(plan=plan, started=started, stopped=stopped)
    state = state_at(life.transitions, stopped)
    match state_at(undisturbed.transitions, stopped):
        case State.NETWORK_TEARING_DOWN | State.NETWORK_TEARDOWN | State.STOPPED | State.FAILED | State.ERROR:
            assert life.transitions == undisturbed.transitions
        case State.RUNNING:
            assert state == State.NETWORK_TEARING_DOWN or plan.seconds * 0.05 + stopped == stopped
            assert life.running == (undisturbed.running[0], stopped)
            assert life.transitions[-1][1] == State.CANCELLED
        case _:
            assert state == State.CANCELLED
            assert life.running is None


@given(data=st.data(), life=lives())
def test_stopping_does_not_change_what_was(data, life):
    """Whoever looked before the stop saw what he would see now."""
    look = data.draw(moments_of(life.plan, life.started))
    if life.stopped is not None and look < life.stopped:
        assert state_at(life.transitions, look) == state_at(
            Life(plan=life.plan, started=life.started).transitions, look
        )


@given(plan=PLANS, stopped=MOMENTS, look=MOMENTS)
def test_what_is_not_started(plan, stopped, look):
    """Stays created, until it is canceled."""
    assert state_at(Life(plan=plan).transitions, look) == State.CREATED
    canceled = Life(plan=plan, stopped=stopped)
    assert state_at(canceled.transitions, look) == (State.CREATED if look < stopped else State.CANCELLED)


@given(life=lives(), look=MOMENTS)
def test_entries_tell_when_a_state_was_entered(life, look):
    """An entry is known from its moment on, and the current state is always one that was entered."""
    for moment, state in life.transitions:
        assert entries_until(life.transitions, moment)[state] == moment
        assert entries_until(life.transitions, look).get(state) == (moment if moment <= look else None)
    state = state_at(life.transitions, look)
    assert state == State.CREATED or state in entries_until(life.transitions, look)


@pytest.mark.parametrize("outcome", [State.STOPPED, State.FAILED, State.ERROR])
def test_no_seconds(outcome):
    """A run that takes no time has ended when it starts."""
    assert state_at(Life(plan=Plan(seconds=0, outcome=outcome), started=5.0).transitions, 5.0) == outcome
