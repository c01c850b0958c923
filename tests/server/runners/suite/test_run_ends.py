"""Stopping and forgetting runs, whenever that comes."""

from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from tests.server.runners.suite.bench import ALL


def states_of(run):
    return [state for _, state in run.transitions]


def test_stopping_before_it_is_started(bench, kind):
    """It is canceled at once, and there is nothing to wait for."""
    run = bench.prepare(kind.prints(1))
    now = bench.clock.now()
    run.stop(now)
    assert states_of(run) == [State.CANCELLED]
    assert bench.state(run) == State.CANCELLED
    assert bench.rows(run) == []
    assert run.next_row_at(0, now) is None


def test_stopping_right_after_the_start(bench, kind):
    """It is canceled, whether or not its command has begun to run."""
    run = bench.started(kind.waits())
    run.stop(bench.clock.now())
    assert bench.until_ended(run) == State.CANCELLED
    assert states_of(run)[0] == State.PENDING


def test_stopping_while_it_runs(bench, kind):
    """It is torn down, is canceled, and what it has printed is still there, with a marker behind it."""
    run = bench.started(kind.waits())
    before = bench.until_printed(run)
    run.stop(bench.clock.now())
    assert bench.until_ended(run) == State.CANCELLED
    rows = bench.rows(run)
    assert rows[: len(before)] == before
    assert [row.message == END_OF_LOG for _, row in rows[len(before) :]][-1:] == [True]
    assert states_of(run).count(State.RUNNING) == states_of(run).count(State.CANCELLED) == 1
    assert run.next_row_at(0, bench.clock.now()) is None


def test_stopping_twice(bench, kind):
    """The second time changes nothing."""
    run = bench.started(kind.waits())
    bench.until_printed(run)
    run.stop(bench.clock.now())
    run.stop(bench.clock.now())
    assert bench.until_ended(run) == State.CANCELLED
    entered, rows = list(run.transitions), bench.rows(run)
    run.stop(bench.clock.now())
    assert (list(run.transitions), bench.rows(run)) == (entered, rows)


def test_stopping_what_has_ended(bench, kind):
    """Its outcome stays."""
    run = bench.started(kind.prints(1))
    bench.until_ended(run)
    entered = list(run.transitions)
    run.stop(bench.clock.now())
    assert list(run.transitions) == entered
    assert bench.state(run) == State.STOPPED


def test_forgetting(bench, kind):
    """Whatever state it is in; who was reading gets some answer, and other runs are not disturbed."""
    other = bench.started(kind.waits())
    created, pending, running, ended = (
        bench.prepare(kind.prints(1)),
        bench.started(kind.waits()),
        bench.started(kind.waits()),
        bench.started(kind.prints(1)),
    )
    bench.until_printed(running)
    bench.until_ended(ended)
    for run in (created, pending, running, ended):
        bench.delete(run)
        now = bench.clock.now()
        assert isinstance(list(run.transitions), list)
        assert isinstance(run.rows(0, ALL, now), list)
        assert isinstance(run.next_row_at(0, now), float | None)
        assert isinstance(run.error(now), str | None)
    rows = bench.until_printed(other)
    other.stop(bench.clock.now())
    assert bench.until_ended(other) == State.CANCELLED
    assert bench.rows(other)[: len(rows)] == rows


def test_the_same_handle_again(bench, kind):
    """Another experiment can have it at once; nothing of the forgotten one is in it."""
    run = bench.started(kind.waits())
    bench.until_printed(run)
    again = bench.prepare(kind.prints(2), handle=bench.delete(run))
    assert list(again.transitions) == bench.rows(again) == []
    again.start(bench.clock.now())
    assert bench.until_ended(again) == State.STOPPED
    assert len(bench.rows(again)) == kind.notes + 3
