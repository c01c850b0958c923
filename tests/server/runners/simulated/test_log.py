"""What jobs print: for any number of rows, any length of a run, and whenever it is stopped and looked at."""

import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State
from hypothesis import assume, given
from hypothesis import strategies as st

from gradient_server.runners.base import Job
from gradient_server.runners.simulated.lifecycle import Life, Plan
from gradient_server.runners.simulated.log import Log
from gradient_server.runners.simulated.wish import MOST_ROWS, MOST_SECONDS, Wish

SECONDS = st.sampled_from([0.0, 5e-324, 1e-300, 1.0, 20.0, MOST_SECONDS]) | st.floats(0, MOST_SECONDS)
MOMENTS = st.sampled_from([0.0, 1.0, 12345.678]) | st.floats(0, 1e9)
ROWS = st.sampled_from([0, 1, 2, MOST_ROWS]) | st.integers(0, 100)
JOB = Job(id="jsaaaaaaaaaaaa", name="worker")


@st.composite
def runs(draw, rows=ROWS):
    """A wish, and a run of it that somebody may have stopped."""
    outcome = draw(st.sampled_from([State.STOPPED, State.FAILED, State.ERROR]))
    wish = Wish(plan=Plan(seconds=draw(SECONDS), outcome=outcome), rows=draw(rows))
    started = draw(MOMENTS)
    stopped = draw(st.none() | st.floats(0, 1.2).map(lambda share: started + wish.plan.seconds * share))
    return wish, Life(plan=wish.plan, started=started, stopped=stopped)


def looks_at(life):
    """Moments to look at a run, from before its start to after its end."""
    some = st.sampled_from([life.started - 1, *(moment for moment, _ in life.transitions), 1e12])
    return some | st.floats(-0.1, 1.2).map(lambda share: life.started + life.plan.seconds * share)


@given(data=st.data(), run=runs())
def test_rows_appear_and_do_not_go_away(data, run):
    """Nothing before the command runs, never fewer than before, and in the end one more than the rows: the marker."""
    wish, life = run
    log = Log(wish, life)
    looks = sorted(data.draw(st.lists(looks_at(life), min_size=2, max_size=10)))
    visible = [log.visible(look) for look in looks]
    assert visible == sorted(visible)
    assert all(0 <= count <= wish.rows + 1 for count in visible)
    if life.running is None:
        assert set(visible) == {0}
    else:
        assert log.visible(life.running[0] - 1) == 0 or life.started - 1 == life.started
        assert log.row(JOB, log.visible(1e12)).message == END_OF_LOG
    if life.stopped is None and wish.plan.outcome != State.ERROR:
        assert log.visible(life.started + wish.plan.seconds) == wish.rows + 1


@given(run=runs(), shares=st.tuples(st.floats(0, 1.1), st.floats(0, 1.1)).map(sorted))
def test_stopping_does_not_take_rows_away(run, shares):
    """Whoever looked before the stop saw rows that are still there, and the same ones."""
    wish, life = run
    look, stopped = (life.started + wish.plan.seconds * share for share in shares)
    before = Log(wish, Life(plan=wish.plan, started=life.started))
    after = Log(wish, Life(plan=wish.plan, started=life.started, stopped=stopped))
    if look < stopped and (count := before.visible(look)):
        assert after.visible(look) == count
        assert after.row(JOB, count) == before.row(JOB, count)


@given(run=runs(st.integers(0, 60)), look=st.floats(0, 1.2))
def test_lines_are_counted_from_one_and_end_with_the_marker(run, look):
    """The lines that are visible are 1, 2, 3 ..., their moments do not go back or into the future, one is the last."""
    wish, life = run
    log, now = Log(wish, life), life.started + wish.plan.seconds * look
    rows = [log.row(JOB, line) for line in range(1, log.visible(now) + 1)]
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    moments = [row.timestamp for row in rows]
    assert moments == sorted(moments)
    ended = life.transitions[-1][0]
    ends = [ended if row.message == END_OF_LOG else life.running[1] for row in rows]
    assert all(life.running[0] <= moment <= min(now, end) + 1e-6 for moment, end in zip(moments, ends, strict=True))
    assert END_OF_LOG not in [row.message for row in rows[:-1]]
    whole = log.visible(1e12)
    assert (whole > 0) == (life.running is not None)
    if whole:
        assert [log.row(JOB, line).message == END_OF_LOG for line in range(1, whole + 1)] == [False] * (whole - 1) + [
            True
        ]


def test_rows_are_spread_evenly_over_the_time_that_the_command_runs():
    """They are printed after equal pauses, the marker comes at the end, and each is visible from its moment on."""
    wish = Wish(plan=Plan(seconds=1000.0, outcome=State.STOPPED), rows=4)
    life = Life(plan=wish.plan, started=0.0)
    log, (begin, end) = Log(wish, life), life.running
    moments = [log.row(JOB, line).timestamp for line in range(1, 6)]
    assert moments == pytest.approx([*(begin + (end - begin) * share / 5 for share in range(1, 5)), 1000.0])
    for line, moment in enumerate(moments, start=1):
        assert (log.visible(moment - 0.001), log.visible(moment + 0.001)) == (line - 1, line)


@given(run=runs(st.integers(1, MOST_ROWS)), data=st.data())
def test_the_last_row_of_a_failed_run_says_so(run, data):
    """The others do not, and no row of one that went well."""
    wish, life = run
    assume(life.running is not None)
    log = Log(wish, life)
    line = data.draw(st.integers(1, max(1, log.visible(1e12) - 1)))
    says_so = "exit code 1" in log.row(JOB, line).message
    failed = wish.plan.outcome == State.FAILED and log.visible(1e12) == wish.rows + 1
    assert says_so == (failed and line == wish.rows)
