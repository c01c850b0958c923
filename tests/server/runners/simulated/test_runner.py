"""When a simulated run has a new row: neither later than it says, nor so early that one looks in vain."""

import math

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import Job, state_at
from gradient_server.runners.simulated.lifecycle import Life, Plan
from gradient_server.runners.simulated.log import Log
from gradient_server.runners.simulated.runner import SimulatedRun
from gradient_server.runners.simulated.wish import MOST_ROWS, MOST_SECONDS, Wish

JOBS = (Job(id="jsaaaaaaaaaaaa", name="worker"),)

SECONDS = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 1.0, 20.0, MOST_SECONDS]) | st.floats(0, MOST_SECONDS)
MOMENTS = st.sampled_from([0.0, 1.0, 12345.678]) | st.floats(0, 1e9)
ROWS = st.sampled_from([0, 1, 2, MOST_ROWS]) | st.integers(0, 100)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]) | st.floats(0, 1.2)


@st.composite
def runs(draw, rows=ROWS):
    """A wish, and what has happened to an experiment that has it: nothing, a start, a stop, or both."""
    outcome = draw(st.sampled_from([State.STOPPED, State.FAILED, State.ERROR]))
    wish = Wish(plan=Plan(seconds=draw(SECONDS), outcome=outcome), rows=draw(rows))
    started = draw(st.none() | MOMENTS)
    stopped = draw(st.none() | SHARES.map(lambda share: (started or 0.0) + wish.plan.seconds * share))
    return wish, Life(plan=wish.plan, started=started, stopped=stopped)


@st.composite
def looks_at(draw, life):
    """A moment to look at a life: about when something happens, or any other."""
    entered = st.sampled_from([0.0, *(moment for moment, _ in life.transitions)])
    anywhere = SHARES.map(lambda share: (life.started or 0.0) + life.plan.seconds * share)
    moment = draw(entered | anywhere)
    return draw(st.sampled_from([moment, math.nextafter(moment, 0), math.nextafter(moment, math.inf)]))


@st.composite
def moments_before(draw, now, moment):
    """A moment from now on, but before another one."""
    return min(max(now, now + (min(moment, 1e15) - now) * draw(st.floats(0, 1))), math.nextafter(moment, 0))


@given(data=st.data(), run=runs(), beyond=st.integers(0, 3))
def test_the_next_row(data, run, beyond):
    """Before the moment there is none and the run goes on; then there is one, or the run has ended."""
    wish, life = run
    log, now = Log(wish, life), data.draw(looks_at(life))
    line = min(log.visible(now) + beyond, data.draw(st.integers(0, wish.rows + 3)))
    moment = SimulatedRun(JOBS, wish, life).next_row_at(line, now)
    assert (moment is None) == (state_at(life.transitions, now) in TERMINAL_STATES)
    if moment is None:
        return
    if log.visible(now) > line:
        assert moment <= now
        return
    assert moment > now
    assert (moment == math.inf) == (life.started is None and life.stopped is None)
    if moment < math.inf:
        assert log.visible(moment) > line or state_at(life.transitions, moment) in TERMINAL_STATES
    before = data.draw(moments_before(now, moment))
    # What rounding may add to the moment is less than anybody notices.
    if moment - before > 4 * math.ulp(moment):
        assert log.visible(before) <= line
    assert state_at(life.transitions, before) not in TERMINAL_STATES


@given(run=runs(st.integers(0, 60)))
def test_who_sleeps_until_the_next_row_wakes_for_something(run):
    """Each time there are more rows, or the run has ended; in the end the sleeper has seen as many as there are."""
    wish, life = run
    log, run, now = Log(wish, life), SimulatedRun(JOBS, wish, life), 0.0
    seen = log.visible(now)
    while (moment := run.next_row_at(seen, now)) is not None and moment < math.inf:
        now, before, seen = moment, seen, log.visible(moment)
        assert seen > before or state_at(life.transitions, now) in TERMINAL_STATES
    assert seen == log.visible(1e12)
