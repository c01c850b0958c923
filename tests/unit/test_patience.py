"""Following logs, as decisions: how often a server is asked, how long requests are held, and when it is given up."""

import itertools

import pytest

from gradient import (
    LogsInterruptedError,
    LogsTimeoutError,
    NotFoundError,
    RateLimitError,
    RequestFailedError,
    ServerError,
)
from gradient_ext.config import Options
from gradient_ext.polling import LogsQuery, Pause, StateQuery
from tests.unit.simulated import STOPPED, SimulatedLogs, Simulation

PATIENCE = Options().patience


def test_nobody_is_asked_in_a_hot_loop():
    """A server that does not hold requests is asked after 0.2 seconds, then more and more rarely, and every 10 seconds
    in the end; a new row takes it back to the start.
    """
    simulation = Simulation(SimulatedLogs(1))
    simulation.go(3600)
    times = [moment for moment, ask in simulation.asked if isinstance(ask, LogsQuery)]
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses[0] == pytest.approx(0.2, abs=0.01)
    assert all(after > before - 0.001 for before, after in itertools.pairwise(pauses))
    assert pauses[-1] == pytest.approx(10, abs=0.01)
    assert len(simulation.asked) < 2 * 3600 / 10 + 40
    simulation.logs.print(0, 1)
    asked = len(simulation.asked)
    simulation.go(11)
    assert len(simulation.got) == 1
    assert len(simulation.asked) > asked + 5


def test_a_server_that_holds_requests_is_asked_once_in_20_seconds():
    """A row that comes in between ends the wait, and the next question follows at once."""
    simulation = Simulation(SimulatedLogs(1), holds=True)
    simulation.go(3600)
    assert {ask.wait for _, ask in simulation.asked[1:] if isinstance(ask, LogsQuery)} == {20.0}
    assert len(simulation.asked) < 2 * 3600 / 20 + 5


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_job_that_prints_all_the_time_is_not_asked_all_the_time(jobs, holds):
    """Of a thousand rows in a second, there are at most 5 rounds, and a bit more until that is clear."""
    simulation = Simulation(SimulatedLogs(jobs), holds=holds)
    printed = 0
    while simulation.now < 1060:
        simulation.step()
        for job in range(jobs):
            simulation.logs.print(job, int((simulation.now - 1000) * 1000) - printed)
        printed = int((simulation.now - 1000) * 1000)
    assert len(simulation.asked) < (60 * 5 + 5) * (2 * jobs + 1)


ODD_SERVERS = {
    "the same row": lambda logs, question: [logs.row(0, 1, "again")],
    "the same page": lambda logs, question: [logs.row(0, line, "again") for line in range(1, 11)],
    "pages that are full": lambda logs, question: [logs.row(0, 3, "again")] * min(question.limit, 1000),
    "rows far ahead": lambda logs, question: [logs.row(0, question.line + 9, "ahead")],
    "full pages far ahead": lambda logs, question: [
        logs.row(0, question.line + 9 + n, "ahead") for n in range(min(question.limit, 1000))
    ],
    "rows of other jobs": lambda logs, question: [logs.row(len(logs.given), 7, "who?")],
    "rows of before": lambda logs, question: [logs.row(0, max(1, question.line - 1), "before")],
    "lines below zero": lambda logs, question: [logs.row(0, -5, "below")],
    "nothing": lambda logs, question: [],
}


@pytest.mark.parametrize("page", ODD_SERVERS.values(), ids=ODD_SERVERS)
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("limit", [1, 10, 10_000])
def test_no_server_makes_a_hot_loop(page, jobs, limit):
    """Whatever it answers at once, it is asked a few times a second at most, and without news following it ends."""
    logs = SimulatedLogs(jobs)
    logs.page = lambda question: page(logs, question)
    simulation = Simulation(logs, limit=limit)
    simulation.go(60)
    assert len(simulation.asked) < 60 * 15
    simulation.state = STOPPED
    if not any(page is ODD_SERVERS[name] for name in ("rows far ahead", "full pages far ahead", "rows of other jobs")):
        simulation.run(steps=1000)


def test_jobs_that_are_not_equally_far_cost_little():
    """A silent job does not make a follower read the others' rows again and again, and its rows come soon."""
    simulation = Simulation(SimulatedLogs(2), limit=1000)
    simulation.logs.print(0, 3)
    simulation.logs.print(1, 100_000)
    simulation.go(600)
    for _ in range(600):
        simulation.logs.print(1, 10)
        simulation.go(1)
    assert simulation.rows(1) == simulation.logs.rows(1)
    assert simulation.rows_sent < 1.3 * 106_003
    simulation.logs.print(0, 1)
    simulation.go(0.5)
    assert simulation.rows(0) == simulation.logs.rows(0)
    simulation.logs.end(0)
    simulation.logs.end(1)
    simulation.run(steps=100)
    assert [len(simulation.rows(job)) for job in range(2)] == [4, 106_000]


def test_while_jobs_are_not_equally_far_no_request_is_held_for_long():
    """The server would wait for rows after the line that is asked for, and those of the job behind are before it."""
    simulation = Simulation(SimulatedLogs(2), holds=True)
    simulation.logs.print(0, 3)
    simulation.logs.print(1, 5)
    simulation.go(600)
    waits = [ask.wait for _, ask in simulation.asked[10:] if isinstance(ask, LogsQuery)]
    assert max(waits) == 10.0
    assert all(ask.wait == 0 for _, ask in simulation.asked if isinstance(ask, LogsQuery) and ask.range.line == 3)
    simulation.logs.print(0, 2)
    simulation.go(11)
    assert len(simulation.got) == 10
    simulation.go(600)
    assert simulation.asked[-1][1].wait == 20.0


def test_failures_are_ridden_out_with_a_budget_that_rows_refill():
    """Nine minutes of failure are no reason to give up, as often as they come; ten are, and the error says where."""
    simulation = Simulation(SimulatedLogs(1))
    error = RequestFailedError("broke", "GET", "http://h/")
    for count in range(1, 5):
        simulation.logs.print(0, 10)
        simulation.go(30)
        assert len(simulation.got) == count * 10
        simulation.go(PATIENCE - 60, error)
    simulation.go(30)
    began = simulation.now
    with pytest.raises(LogsInterruptedError, match=r"after line 40: nothing else for 600 seconds: broke") as caught:
        simulation.go(2 * PATIENCE, error)
    assert PATIENCE - 15 < simulation.now - began < PATIENCE + 15
    assert (caught.value.line, caught.value.experiment_id, caught.value.error) == (40, "es1", error)
    assert caught.value.__cause__ is error
    assert not isinstance(caught.value, TimeoutError)


def test_the_state_may_fail_while_the_logs_come():
    """Rows come on, and refill the budget; without rows and without a state it ends after ten minutes."""
    simulation = Simulation(SimulatedLogs(1))

    def stateless(seconds):
        end = simulation.now + seconds
        while simulation.now < end:
            step = simulation.follower.next_step(simulation.now)
            if isinstance(step, StateQuery):
                simulation.now += 1
                simulation.follower.on_error(RequestFailedError("no state"), simulation.now)
            else:
                simulation.step()

    for count in range(1, 5):
        simulation.logs.print(0, 1)
        stateless(500)
        assert len(simulation.got) == count
    with pytest.raises(LogsInterruptedError, match="no state"):
        stateless(700)


def test_what_does_not_pass_is_raised_at_once():
    """An experiment that has been deleted does not come back."""
    simulation = Simulation(SimulatedLogs(1))
    simulation.go(5)
    simulation.follower.next_step(simulation.now + 20)
    gone = NotFoundError("Failed", status=404, method="GET", url="http://h/")
    with pytest.raises(NotFoundError) as caught:
        simulation.follower.on_error(gone, simulation.now + 20)
    assert caught.value is gone
    assert not hasattr(gone, "__notes__")


def test_what_does_not_pass_says_where_to_go_on_too():
    """Where rows have come: only who has followed knows how far each job was."""
    logs = SimulatedLogs(2)
    logs.print(0, 7)
    logs.print(1, 5)
    simulation = Simulation(logs)
    simulation.go(5)
    simulation.follower.next_step(simulation.now + 20)
    unknown = ServerError("Failed", status=520, method="GET", url="http://h/")
    with pytest.raises(ServerError) as caught:
        simulation.follower.on_error(unknown, simulation.now + 20)
    assert caught.value.__notes__ == ["12 rows have come; yield_logs('es1', line=5) goes on from there."]


def test_a_server_that_asks_to_wait_is_obeyed():
    """The next question comes when it said, unless that is later than anybody would wait."""
    simulation = Simulation(SimulatedLogs(1))
    simulation.go(1)
    busy = RateLimitError("Failed", status=429, method="GET", url="http://h/", retry_after=300.0)
    simulation.go(1, busy)
    assert simulation.follower.next_step(simulation.now) == Pause(pytest.approx(300, abs=1))
    busy.retry_after = 86_400.0
    with pytest.raises(LogsInterruptedError):
        simulation.go(500, busy)


def test_a_request_that_was_held_and_lost_is_followed_by_one_that_is_not_held():
    """Where a proxy ends all that takes long, following goes on without long polls."""
    simulation = Simulation(SimulatedLogs(1), holds=True)
    lost = RequestFailedError("cut off")
    held = []
    while simulation.now < 1000 + 900:
        step = simulation.follower.next_step(simulation.now)
        if isinstance(step, LogsQuery) and step.wait > 8:
            held.append(simulation.now)
            simulation.now += 8
            simulation.follower.on_error(lost, simulation.now)
        else:
            simulation.step()
    assert len(held) == 2


def test_the_time_that_was_given():
    """It is over to the second, also while requests are held or fail; the error says where to go on."""
    for holds, failing in ((True, False), (False, False), (False, True)):
        simulation = Simulation(SimulatedLogs(1), holds=holds, timeout=65)
        simulation.logs.print(0, 17)
        simulation.go(30)
        error = RequestFailedError("broke") if failing else None
        with pytest.raises(LogsTimeoutError, match="after line 17: 65 seconds are over") as caught:
            simulation.go(100, error)
        assert 65 <= simulation.now - 1000 < 67
        assert (caught.value.line, isinstance(caught.value, TimeoutError)) == (17, True)
        assert caught.value.error is caught.value.__cause__ is error
        assert all(ask.wait < ask.within <= 65 for _, ask in simulation.asked)
