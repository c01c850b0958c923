"""Pollers: whatever server and network do, every row comes once, waits end, and no server is flooded."""

import math
import random
import tracemalloc
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES, ExperimentState
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gradient import (
    ExperimentFailedError,
    LogsInterruptedError,
    LogsTimeoutError,
    NotFoundError,
    RateLimitError,
    RequestFailedError,
    ServerError,
    StateNotReachedError,
    WaitTimeoutError,
)
from gradient_ext.config import Options
from gradient_ext.polling import ExperimentQuery, LogsQuery, Pause, StateQuery
from tests.unit.simulated import DETECTABLE, FAULTS, SimulatedLogs, following, waiting

PATIENCE = Options().patience
RUNNING, STOPPED, FAILED = ExperimentState.RUNNING, ExperimentState.STOPPED, ExperimentState.FAILED
ERROR, CANCELLED = ExperimentState.ERROR, ExperimentState.CANCELLED
CREATED, PROVISIONED = ExperimentState.CREATED, ExperimentState.PROVISIONED
JOBS = st.integers(0, 3)
BROKEN = RequestFailedError("broke")
GONE = NotFoundError("Failed", status=404, method="GET", url="http://h/")


class Following(RuleBasedStateMachine):
    """Jobs print, the server responds well or badly or not at all, and the follower takes one step after the other."""

    @initialize(
        jobs=st.integers(1, 4),
        limit=st.integers(1, 12),
        line=st.sampled_from([0, 0, 0, 2, 7]),
        inclusive=st.booleans(),
        overlap=st.sampled_from([0, 0, 1, 5]),
        capped=st.booleans(),
        holds=st.booleans(),
        known=st.booleans(),
        seed=st.integers(0, 99),
    )
    def begin(self, jobs, limit, line, inclusive, overlap, capped, holds, known, seed):
        most = 4 * jobs if capped and not overlap else 10**9
        self.logs = SimulatedLogs(jobs, inclusive=inclusive, overlap=overlap, most=most, seed=seed)
        self.line = line
        self.simulation = following(self.logs, line=line, limit=limit, holds=holds, known=known)
        self.faults_left = 4

    @rule(job=JOBS, count=st.integers(1, 20))
    def a_job_prints(self, job, count):
        if self.simulation.state != STOPPED:
            self.logs.print(job % len(self.logs.jobs), count)

    @rule(job=JOBS)
    def a_job_ends(self, job):
        if self.simulation.state != STOPPED:
            self.logs.end(job % len(self.logs.jobs))

    @rule(steps=st.integers(1, 8))
    def it_goes_well(self, steps):
        for _ in range(steps):
            self.step(None)

    @rule(faults=st.lists(st.sampled_from([*FAULTS, BROKEN]), min_size=1, max_size=4))
    def it_goes_badly(self, faults):
        for fault in faults:
            self.step(fault)

    @precondition(lambda self: len(self.simulation.requests) > 5)
    @rule()
    def the_experiment_ends(self):
        self.simulation.state = STOPPED
        self.faults_left = min(self.faults_left, 2)

    def step(self, fault):
        """Take a step; a server that sends the same wrong page again and again is believed in the end."""
        if self.simulation.finished:
            return
        sent = len(self.logs.sent)
        fault = fault if self.faults_left > 0 else None
        self.simulation.step(fault)
        printed = sum(len(self.logs.rows(job)[self.line :]) for job in range(len(self.logs.jobs)))
        if len(self.simulation.events) == printed and self.simulation.state != STOPPED:
            self.faults_left = 4
        elif fault and len(self.logs.sent) > sent:
            self.faults_left -= 1

    @invariant()
    def rows_come_once_and_in_order(self):
        if not hasattr(self, "logs"):
            return
        for job in range(len(self.logs.jobs)):
            rows = self.simulation.rows(job)
            assert rows == self.logs.rows(job)[self.line :][: len(rows)]

    @invariant()
    def a_reader_that_goes_on_from_the_line_of_an_error_loses_nothing(self):
        if hasattr(self, "logs") and not self.simulation.finished:
            line = self.simulation.poller.line
            for job in range(len(self.logs.jobs)):
                assert self.logs.rows(job)[self.line : line] == self.simulation.rows(job)[: max(0, line - self.line)]

    def teardown(self):
        if not hasattr(self, "logs"):
            return
        self.simulation.state = STOPPED
        if not self.simulation.finished:
            self.simulation.run(steps=5000)
        for job in range(len(self.logs.jobs)):
            assert self.simulation.rows(job) == self.logs.rows(job)[self.line :]


TestFollowing = Following.TestCase


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("ends", [True, False], ids=["ends with a marker", "ends without a marker"])
def test_no_row_is_lost_or_repeated_when_a_third_of_all_responses_is_wrong(jobs, ends):
    for seed in range(50):
        chance = random.Random(seed)
        logs = SimulatedLogs(jobs, seed=seed, inclusive=chance.random() < 0.5)
        simulation = following(logs, limit=chance.choice([5, 20, 1000]), holds=chance.random() < 0.5)
        rounds = 0
        while not simulation.finished:
            rounds += 1
            if rounds <= 50:
                logs.print(chance.randrange(jobs), chance.randint(0, 30))
            elif rounds == 51:
                simulation.state = STOPPED
                for job in range(jobs):
                    if ends:
                        logs.end(job)
            simulation.step(chance.choice([*DETECTABLE, BROKEN]) if chance.random() < 1 / 3 else None)
        for job in range(jobs):
            assert simulation.rows(job) == logs.rows(job)


def test_following_ends_with_the_last_marker_without_reading_the_state():
    logs = SimulatedLogs(3)
    for job in range(3):
        logs.print(job, 5 * job)
        logs.end(job)
    simulation = following(logs)
    simulation.run()
    assert len(simulation.events) == 15
    assert simulation.queries(StateQuery) == []


@pytest.mark.parametrize("rows", [0, 7])
def test_following_ends_within_a_second_after_an_experiment_without_markers(rows):
    """Also of one that failed before it started."""
    logs = SimulatedLogs(1)
    logs.print(0, rows)
    simulation = following(logs)
    simulation.state = STOPPED
    simulation.run()
    assert len(simulation.events) == rows
    assert simulation.now - 1000 < 1


def test_rows_that_arrive_after_the_end_of_the_experiment_come():
    logs = SimulatedLogs(1)
    simulation = following(logs)
    simulation.state = STOPPED
    while len(logs.sent) < 2:
        assert simulation.step() is not None
    logs.print(0, 5)
    simulation.run()
    assert simulation.rows(0) == logs.rows(0)


@pytest.mark.parametrize("jobs", [1, 3])
def test_going_on_from_the_line_of_an_error_loses_no_row(jobs):
    """And of one job repeats none."""
    logs = SimulatedLogs(jobs, seed=7)
    for job in range(jobs):
        logs.print(job, 100 * (job + 1))
        logs.end(job)
    first = following(logs, limit=30)
    while len(first.events) < 80:
        first.step()
    with pytest.raises(LogsInterruptedError) as caught:
        first.go(2 * PATIENCE, BROKEN)
    second = following(logs, line=caught.value.line)
    second.run()
    for job in range(jobs):
        both = first.rows(job) + second.rows(job)
        assert sorted(set(both), key=lambda row: row.line) == logs.rows(job)
        assert jobs > 1 or both == logs.rows(job)


@pytest.mark.parametrize("jobs", [1, 3])
def test_memory_of_a_follower_does_not_grow_with_the_log(jobs):
    peaks = [peak_of_following(jobs, rows) for rows in (4_000, 20_000)]
    assert peaks[1] < 1.2 * peaks[0]


def peak_of_following(jobs, rows):
    logs = SimulatedLogs(jobs)
    # Rows are made for each page: the test may not keep them either.
    logs.answer = lambda query, fault: [
        logs.row(job, line, END_OF_LOG if line == rows else "x" * 100)
        for line in range(query.line + 1, min(rows, query.line + query.limit // jobs) + 1)
        for job in range(jobs)
    ]
    simulation = following(logs, limit=600)
    count = 0
    tracemalloc.start()
    while not simulation.finished:
        simulation.step()
        count += len(simulation.events)
        simulation.events.clear()
        simulation.requests.clear()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == jobs * (rows - 1)
    return peak


def test_a_silent_log_costs_one_long_poll_in_20_seconds_and_one_state_in_5_minutes():
    simulation = following(SimulatedLogs(1), holds=True)
    simulation.go(59)
    assert [type(query) for _, query in simulation.requests] == [ExperimentQuery, LogsQuery, LogsQuery, LogsQuery]
    simulation.go(3600)
    assert {query.wait for query in simulation.queries(LogsQuery)} == {20.0}
    times = [now for now, query in simulation.requests if isinstance(query, StateQuery)]
    intervals = [later - earlier for earlier, later in pairwise([1000, *times])]
    # The server holds a request for 20 seconds.
    assert all(300 <= interval < 340 for interval in intervals)
    assert len(simulation.requests) < 1.1 * 3660 / 20


def test_without_long_polls_the_state_is_read_after_each_empty_page():
    simulation = following(SimulatedLogs(1))
    simulation.go(10)
    kinds = [type(query) for _, query in simulation.requests]
    assert kinds[1:7] == [LogsQuery, StateQuery] * 3


def test_without_long_polls_the_interval_grows_from_a_fifth_of_a_second_to_ten_and_a_row_resets_it():
    simulation = following(SimulatedLogs(1))
    simulation.go(3600)
    times = [now for now, query in simulation.requests if isinstance(query, LogsQuery)]
    intervals = [later - earlier for earlier, later in pairwise(times)]
    assert intervals[0] == pytest.approx(0.2, abs=0.01)
    assert all(later > earlier - 0.001 for earlier, later in pairwise(intervals))
    assert intervals[-1] == pytest.approx(10, abs=0.01)
    assert len(simulation.requests) < 2 * 3600 / 10 + 40
    simulation.logs.print(0, 1)
    count = len(simulation.requests)
    simulation.go(11)
    assert len(simulation.events) == 1
    assert len(simulation.requests) > count + 5


@pytest.mark.parametrize("pace", [0.5, 0.05, 0.015])
def test_rows_that_are_printed_one_by_one_come_without_a_pause(pace):
    """Also after many rows have come at once."""
    logs = SimulatedLogs(1, pace=pace)
    logs.print(0, 1000)
    simulation = following(logs, holds=True)
    while len(simulation.events) < 1001:
        simulation.step()
    while len(simulation.events) < 1200:
        assert not isinstance(simulation.step(), Pause)
    assert {type(query) for _, query in simulation.requests[1:]} == {LogsQuery}


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_that_print_a_thousand_rows_a_second_cost_at_most_five_passes_a_second(jobs, holds):
    simulation = following(SimulatedLogs(jobs), holds=holds)
    printed = 0
    while simulation.now < 1020:
        simulation.step()
        for job in range(jobs):
            simulation.logs.print(job, int((simulation.now - 1000) * 1000) - printed)
        printed = int((simulation.now - 1000) * 1000)
    assert len(simulation.requests) < (20 * 5 + 5) * (2 * jobs + 1)


STRANGE_PAGES = {
    "the same row": lambda logs, query: [logs.row(0, 1, "again")],
    "the same page": lambda logs, query: [logs.row(0, line, "again") for line in range(1, 11)],
    "full pages": lambda logs, query: [logs.row(0, 3, "again")] * min(query.limit, 1000),
    "rows of before": lambda logs, query: [logs.row(0, max(1, query.line - 1), "before")],
    "lines below zero": lambda logs, query: [logs.row(0, -5, "below")],
    "nothing": lambda logs, query: [],
}
ENDLESS_PAGES = {
    "rows far ahead": lambda logs, query: [logs.row(0, query.line + 9, "ahead")],
    "full pages far ahead": lambda logs, query: [
        logs.row(0, query.line + 9 + n, "ahead") for n in range(min(query.limit, 1000))
    ],
    "rows of other jobs": lambda logs, query: [logs.row(len(logs.sent), 7, "who?")],
}


@pytest.mark.parametrize("name", [*STRANGE_PAGES, *ENDLESS_PAGES])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("limit", [1, 10_000])
def test_whatever_a_server_sends_at_once_it_gets_at_most_15_requests_a_second(name, jobs, limit):
    """And without new rows following it ends."""
    logs = SimulatedLogs(jobs)
    page = (STRANGE_PAGES | ENDLESS_PAGES)[name]
    logs.page = lambda query: page(logs, query)
    simulation = following(logs, limit=limit)
    simulation.go(30)
    assert len(simulation.requests) < 30 * 15
    simulation.state = STOPPED
    if name in STRANGE_PAGES:
        simulation.run(steps=1000)


def test_a_job_that_is_behind_does_not_make_the_rows_of_others_be_read_again():
    simulation = following(SimulatedLogs(2), limit=1000)
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


def test_while_a_job_is_behind_long_polls_are_short():
    """The server would wait for rows after the line in the query, and those of the job that is behind are before it."""
    simulation = following(SimulatedLogs(2), holds=True)
    simulation.logs.print(0, 3)
    simulation.logs.print(1, 5)
    simulation.go(600)
    waits = [query.wait for _, query in simulation.requests[10:] if isinstance(query, LogsQuery)]
    assert max(waits) == 10.0
    assert all(query.wait == 0 for query in simulation.queries(LogsQuery) if query.range.line == 3)
    simulation.logs.print(0, 2)
    simulation.go(11)
    assert len(simulation.events) == 10
    simulation.go(600)
    assert simulation.requests[-1][1].wait == 20.0


def test_a_displayed_state_that_rows_contradict_is_read_again_twice_a_second():
    simulation = following(SimulatedLogs(1, pace=0.05), holds=True, displays_state=True)
    simulation.state = ExperimentState.PROVISIONING
    simulation.go(3)
    assert simulation.poller.state == ExperimentState.PROVISIONING
    simulation.state = RUNNING
    simulation.go(0.7)
    assert simulation.poller.state == RUNNING
    count = len(simulation.requests)
    simulation.go(4)
    assert StateQuery not in [type(query) for _, query in simulation.requests[count:]]


def test_failures_are_tolerated_for_ten_minutes_and_every_row_renews_that_budget():
    simulation = following(SimulatedLogs(1))
    error = RequestFailedError("broke", "GET", "http://h/")
    for count in range(1, 5):
        simulation.logs.print(0, 10)
        simulation.go(30)
        assert len(simulation.events) == count * 10
        simulation.go(PATIENCE - 60, error)
    simulation.go(30)
    failing_since = simulation.now
    with pytest.raises(LogsInterruptedError, match=r"after line 40: nothing else for 600 seconds: broke") as caught:
        simulation.go(2 * PATIENCE, error)
    assert PATIENCE - 15 < simulation.now - failing_since < PATIENCE + 15
    assert (caught.value.line, caught.value.experiment_id, caught.value.error) == (40, "es1", error)
    assert caught.value.__cause__ is error
    assert not isinstance(caught.value, TimeoutError)


def test_rows_renew_the_budget_while_the_state_cannot_be_read():
    simulation = following(SimulatedLogs(1))

    def go_without_state(seconds):
        end = simulation.now + seconds
        while simulation.now < end:
            is_state = isinstance(simulation.poller.next_step(simulation.now), StateQuery)
            simulation.step(RequestFailedError("no state") if is_state else None)

    for count in range(1, 5):
        simulation.logs.print(0, 1)
        go_without_state(500)
        assert len(simulation.events) == count
    with pytest.raises(LogsInterruptedError, match="no state"):
        go_without_state(700)


@pytest.mark.parametrize("simulation", [following(SimulatedLogs(1)), waiting(RUNNING)], ids=["follower", "waiter"])
def test_a_permanent_error_is_raised_at_once(simulation):
    simulation.go(5)
    with pytest.raises(NotFoundError) as caught:
        simulation.go(20, GONE)
    assert caught.value is GONE
    assert not hasattr(GONE, "__notes__")


def test_a_permanent_error_after_rows_names_the_cursor_from_which_to_go_on():
    """Only the follower knows how far each job was."""
    logs = SimulatedLogs(2)
    logs.print(0, 7)
    logs.print(1, 5)
    simulation = following(logs)
    simulation.go(5)
    with pytest.raises(ServerError) as caught:
        simulation.go(20, ServerError("Failed", status=520, method="GET", url="http://h/"))
    assert caught.value.__notes__ == ["12 rows have come; yield_logs('es1', after='js0:7,js1:5') goes on from there."]


def test_a_retry_after_is_obeyed_unless_it_exceeds_the_budget():
    simulation = following(SimulatedLogs(1))
    simulation.go(1)
    busy = RateLimitError("Failed", status=429, method="GET", url="http://h/", retry_after=300.0)
    simulation.go(1, busy)
    assert simulation.poller.next_step(simulation.now) == Pause(pytest.approx(300, abs=1))
    busy.retry_after = 86_400.0
    with pytest.raises(LogsInterruptedError):
        simulation.go(500, busy)


def test_where_a_proxy_ends_long_polls_following_goes_on_without_them():
    simulation = following(SimulatedLogs(1), holds=True)
    long_polls = 0
    while simulation.now < 1000 + 900:
        step = simulation.poller.next_step(simulation.now)
        is_cut_off = isinstance(step, LogsQuery) and step.wait > 8
        long_polls += is_cut_off
        simulation.step(RequestFailedError("cut off") if is_cut_off else None)
    assert long_polls == 2


@pytest.mark.parametrize(("holds", "error"), [(True, None), (False, None), (False, BROKEN)])
def test_following_ends_with_the_timeout_to_the_second_and_names_the_line(holds, error):
    simulation = following(SimulatedLogs(1), holds=holds, timeout=65)
    simulation.logs.print(0, 17)
    simulation.go(30)
    with pytest.raises(LogsTimeoutError, match="after line 17: 65 seconds are over") as caught:
        simulation.go(100, error)
    assert 65 <= simulation.now - 1000 < 67
    assert (caught.value.line, isinstance(caught.value, TimeoutError)) == (17, True)
    assert caught.value.error is caught.value.__cause__ is error
    assert all(query.wait < query.within <= 65 for _, query in simulation.requests)


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES - {FAILED, ERROR}))
def test_waiting_for_an_experiment_that_has_ended_returns_it_at_once(state):
    """One that somebody has stopped has not failed."""
    simulation = waiting(state)
    assert simulation.result().state == state
    assert simulation.queries(LogsQuery) == []
    assert simulation.now < 1000.1


@pytest.mark.parametrize("state", [FAILED, ERROR])
def test_waiting_for_an_experiment_that_has_failed_raises_its_reason_and_last_rows_unless_told_not_to(state):
    with pytest.raises(ExperimentFailedError) as caught:
        waiting(state, rows=2).result()
    error = caught.value
    assert (error.experiment_id, error.state, error.experiment.state) == ("es1", state, state)
    assert error.experiment_error == "out of memory"
    assert [row.message for row in error.rows] == ["row 1", "row 2"]
    assert str(error) == (
        f"Experiment es1 has ended as {ExperimentState.get_state_str(state)}: out of memory\n"
        "The last rows of its logs:\n  1  row 1\n  2  row 2"
    )
    assert waiting(state, raise_on_failure=False).result().state == state


@pytest.mark.parametrize("until", [{RUNNING}, {RUNNING, FAILED}, {STOPPED}, None])
@pytest.mark.parametrize("end", sorted(TERMINAL_STATES))
def test_a_wait_ends_in_a_state_that_was_waited_for_or_with_an_error_when_none_can_come_any_more(until, end):
    simulation = waiting(PROVISIONED, until=until)
    simulation.go(30)
    simulation.state = end
    if end in (until or {STOPPED, CANCELLED}):
        assert simulation.result().state == end
    elif end in (FAILED, ERROR):
        with pytest.raises(ExperimentFailedError):
            simulation.result()
    else:
        with pytest.raises(StateNotReachedError) as caught:
            simulation.result()
        assert (caught.value.state, caught.value.until) == (end, tuple(sorted(until)))
        words = " or ".join(ExperimentState.get_state_str(state) for state in sorted(until))
        word = ExperimentState.get_state_str(end)
        assert str(caught.value) == f"Experiment es1 has ended as {word}; it will not be {words} any more"
    assert simulation.events == [PROVISIONED, end]


def test_without_errors_for_failures_another_state_is_still_not_the_one_that_was_waited_for():
    with pytest.raises(StateNotReachedError):
        waiting(FAILED, until={RUNNING}, raise_on_failure=False).result()


def test_an_unknown_state_is_an_event_and_does_not_end_a_wait():
    simulation = waiting(77)
    simulation.go(5)
    simulation.state = RUNNING
    simulation.go(5)
    simulation.state = STOPPED
    assert simulation.result().state == STOPPED
    assert simulation.events == [77, RUNNING, STOPPED]
    with pytest.raises(WaitTimeoutError, match="still in state 77 after"):
        waiting(77, timeout=5).go(10)


def test_without_long_polls_the_interval_of_a_wait_grows_to_ten_seconds_and_a_new_state_resets_it():
    simulation = waiting(CREATED)
    simulation.go(3600)
    assert 360 < len(simulation.requests) < 380
    count = len(simulation.requests)
    simulation.state = RUNNING
    simulation.go(12)
    assert simulation.events == [CREATED, RUNNING]
    assert len(simulation.requests) > count + 4


def test_after_the_first_state_a_wait_takes_one_long_poll_in_20_seconds():
    simulation = waiting(CREATED, holds=True)
    simulation.go(3600)
    assert [query.wait for _, query in simulation.requests[:3]] == [0, 20, 20]
    assert len(simulation.requests) < 365


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("error", [None, BROKEN])
def test_a_wait_ends_with_the_timeout_to_the_second_and_names_the_state(holds, error):
    simulation = waiting(RUNNING, holds=holds, timeout=65)
    simulation.go(20)
    with pytest.raises(WaitTimeoutError, match=r"Experiment es1 is still running after 65 seconds") as caught:
        simulation.go(math.inf, error)
    assert 65 <= simulation.now - 1000 < 67
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.experiment_id, caught.value.state, caught.value.error) == ("es1", RUNNING, error)


def test_a_timeout_before_anything_is_known_names_the_last_error():
    simulation = waiting(RUNNING, timeout=5)
    with pytest.raises(WaitTimeoutError, match="es1 could not be read after 5 seconds: broke") as caught:
        simulation.go(math.inf, BROKEN)
    assert caught.value.state is None


def test_reading_the_experiment_and_its_rows_may_exceed_the_timeout_after_an_end_in_time():
    simulation = waiting(FAILED, timeout=5, rows=1)
    simulation.step()
    simulation.now += 100
    with pytest.raises(ExperimentFailedError):
        simulation.result()


@pytest.mark.parametrize(("timeout", "budget"), [(5, 5), (None, PATIENCE)])
def test_an_experiment_that_cannot_be_read_after_its_end_is_retried_for_five_seconds_if_there_is_a_timeout(
    timeout, budget
):
    """Otherwise for as long as other failures."""
    simulation = waiting(STOPPED, timeout=timeout)
    simulation.step()
    with pytest.raises(RequestFailedError) as caught:
        simulation.go(math.inf, RequestFailedError("broke"))
    assert budget - 15 < simulation.now - 1000 < budget + 15
    assert simulation.requests[-1][1].within == timeout
    assert caught.value.__notes__ == [
        f"Waiting for es1 ended: nothing else for {budget:g} seconds; it was stopped before."
    ]


def test_when_the_last_rows_come_slowly_those_that_have_come_are_raised():
    simulation = waiting(FAILED, rows=100_000)
    while not isinstance(simulation.poller.next_step(simulation.now), LogsQuery):
        simulation.step()
    started_at = simulation.now
    while simulation.step():
        assert simulation.requests[-1][1].within == 5
        simulation.now += 2
    assert simulation.now - started_at < 10
    with pytest.raises(ExperimentFailedError) as caught:
        simulation.poller.result()
    assert len(caught.value.rows) == 10


def test_logs_that_cannot_be_read_do_not_hide_the_failure():
    simulation = waiting(FAILED, rows=1)
    while not isinstance(simulation.poller.next_step(simulation.now), LogsQuery):
        simulation.step()
    simulation.step(GONE)
    with pytest.raises(ExperimentFailedError) as caught:
        simulation.result()
    assert caught.value.rows == ()


def test_a_wait_tolerates_failures_for_ten_minutes_and_raises_the_last_error_with_the_state():
    simulation = waiting(RUNNING)
    error = RequestFailedError("broke")
    for _ in range(3):
        simulation.go(30)
        simulation.go(PATIENCE - 60, error)
    simulation.go(30)
    failing_since = simulation.now
    with pytest.raises(RequestFailedError) as caught:
        simulation.go(math.inf, error)
    assert PATIENCE - 15 < simulation.now - failing_since < PATIENCE + 15
    assert caught.value.__notes__ == ["Waiting for es1 ended: nothing else for 600 seconds; it was running before."]
