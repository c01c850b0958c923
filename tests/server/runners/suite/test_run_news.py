"""Who sleeps until the announced moment, or until the runner says something, misses nothing: so do long polls."""

import time

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import next_state_at
from tests.server.conftest import PATIENCE
from tests.server.runners.suite.bench import ALL


def looks(bench):
    """Begin to look, again and again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline, "it does not end"
        # Before the look: what is told from now on may not be in it.
        bench.told.clear()
        yield


def sleep(bench, moment):
    """Sleep until a moment or until the runner tells, as a long poll does; not waking is what must not happen."""
    deadline = time.monotonic() + PATIENCE
    while not bench.told.is_set() and bench.clock.now() < moment:
        assert time.monotonic() < deadline, "something was not told"
        bench.pass_time(moment)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("rows", [0, 3])
def test_rows(bench, kind, rows, code):
    """Every row comes while one sleeps for rows only, and what was announced for a moment is there at that moment."""
    run = bench.started(kind.prints(rows, code))
    seen, line = [], 0
    for _ in looks(bench):
        # The moment first, as the server does: what comes in between is then still to come, not missed.
        moment = run.next_row_at(line, bench.clock.now())
        new = run.rows(line, ALL, bench.clock.now())
        seen += [row for _, row in new]
        if new:
            line = seen[-1].line
        elif moment is None:
            break
        else:
            assert moment > bench.clock.now(), "it said that the row is there"
            sleep(bench, moment)
    assert len(seen) == kind.notes + rows + 1
    assert seen[-1].message == END_OF_LOG
    assert bench.state(run) in TERMINAL_STATES


def test_states(bench, kind):
    """The last state comes while one sleeps for states only."""
    run = bench.started(kind.prints(1))
    seen = []
    for _ in looks(bench):
        now = bench.clock.now()
        seen.append(bench.state(run))
        moment = next_state_at(run.transitions, now)
        if moment is None:
            break
        sleep(bench, moment)
    assert seen[-1] == State.STOPPED


def test_an_error(bench, kind):
    """Who sleeps for rows of what cannot be set up is told that none will come."""
    run = bench.started(kind.cannot_be_set_up())
    line = 0
    for _ in looks(bench):
        now = bench.clock.now()
        moment, rows = run.next_row_at(line, now), run.rows(line, ALL, now)
        if rows:
            line = rows[-1][1].line
        elif moment is None:
            break
        else:
            sleep(bench, moment)
    assert bench.state(run) == State.ERROR


def test_a_stop(bench, kind):
    """Who sleeps while it waits is told of its end."""
    run = bench.started(kind.waits())
    bench.until_printed(run)
    run.stop(bench.clock.now())
    for _ in looks(bench):
        moment = next_state_at(run.transitions, bench.clock.now())
        if moment is None:
            break
        sleep(bench, moment)
    assert bench.state(run) == State.CANCELLED


def test_of_whom_it_is_told(bench, kind):
    """Only handles of runs that were prepared here are ever told."""
    runs = [bench.started(kind.prints(rows)) for rows in (1, 2)]
    for run in runs:
        bench.until_ended(run)
    assert bench.told_of <= {bench.handle_of(run) for run in runs}
