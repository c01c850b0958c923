"""What state a run is in, and when the next one comes: of any states at any moments."""

import math

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import entries_until, next_state_at, state_at

MOMENTS = st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0, 10)
STATES = [State.PENDING, State.PROVISIONING, State.RUNNING, State.NETWORK_TEARING_DOWN]


@st.composite
def entered(draw):
    """States that a run enters, or has entered so far; several of them at the same moment, too."""
    states = [state for state in STATES if draw(st.booleans())]
    states += draw(st.just([]) | st.sampled_from(sorted(TERMINAL_STATES)).map(lambda state: [state]))
    moments = sorted(draw(st.lists(MOMENTS, min_size=len(states), max_size=len(states))))
    return list(zip(moments, states, strict=True))


@given(entered=entered(), now=MOMENTS)
def test_the_state_is_the_last_one_that_was_entered(entered, now):
    """Created where none was; which were, and when, is told in order."""
    before = [(moment, state) for moment, state in entered if moment <= now]
    assert state_at(entered, now) == (before[-1][1] if before else State.CREATED)
    assert [(moment, state) for state, moment in entries_until(entered, now).items()] == before


@given(data=st.data(), entered=entered(), now=MOMENTS)
def test_the_next_state(data, entered, now):
    """The same until the moment, then another; infinity where it is not known yet, None where it has ended."""
    moment, state = next_state_at(entered, now), state_at(entered, now)
    assert (moment is None) == (state in TERMINAL_STATES)
    if moment is not None:
        assert moment > now
        assert state_at(entered, moment) != state or moment == math.inf
        before = data.draw(st.floats(now, min(moment, 1e9), exclude_max=moment < math.inf))
        assert state_at(entered, before) == state
