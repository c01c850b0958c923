"""Following logs, as decisions: whatever a server and a network do, every row comes once and in order, and it ends."""

import random
import tracemalloc
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG, ExperimentState
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gradient import (
    LogsInterruptedError,
    RequestFailedError,
)
from gradient_ext.config import Options
from gradient_ext.polling import LONGEST_HOLD, ExperimentQuery, LogsQuery, Pause, StateQuery
from tests.unit.simulated import FAULTS, STOPPED, TELLABLE, SimulatedLogs, Simulation

PATIENCE = Options().patience

JOBS = st.integers(0, 3)
BROKEN = RequestFailedError("broke")


class Following(RuleBasedStateMachine):
    """Jobs print, the server answers well or badly or not at all, and the follower takes one step after the other."""

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
        self.simulation = Simulation(self.logs, line=line, limit=limit, holds=holds, known=known)
        self.lies_left = 4

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

    @precondition(lambda self: len(self.simulation.asked) > 5)
    @rule()
    def the_experiment_ends(self):
        self.simulation.state = STOPPED
        self.lies_left = min(self.lies_left, 2)

    def step(self, fault):
        """Take a step; a server that says the same wrong thing again and again is believed in the end."""
        if self.simulation.finished:
            return
        said = len(self.logs.given)
        fault = fault if self.lies_left > 0 else None
        self.simulation.step(fault)
        printed = sum(len(self.logs.rows(job)[self.line :]) for job in range(len(self.logs.jobs)))
        if len(self.simulation.got) == printed and self.simulation.state != STOPPED:
            self.lies_left = 4
        elif fault and len(self.logs.given) > said:
            self.lies_left -= 1

    @invariant()
    def rows_come_once_and_in_order(self):
        if not hasattr(self, "logs"):
            return
        for job in range(len(self.logs.jobs)):
            got = self.simulation.rows(job)
            assert got == self.logs.rows(job)[self.line :][: len(got)]

    @invariant()
    def a_reader_that_goes_on_loses_nothing(self):
        if hasattr(self, "logs") and not self.simulation.finished:
            line = self.simulation.follower.line
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
@pytest.mark.parametrize("ends", [True, False], ids=["ends properly", "does not end properly"])
def test_a_third_of_all_answers_is_wrong(jobs, ends):
    """Nothing is lost or comes twice in 100 experiments, whose servers do all that one can tell from a right answer."""
    for seed in range(100):
        chance = random.Random(seed)
        logs = SimulatedLogs(jobs, seed=seed, inclusive=chance.random() < 0.5)
        simulation = Simulation(logs, limit=chance.choice([5, 20, 1000]), holds=chance.random() < 0.5)
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
            simulation.step(chance.choice([*TELLABLE, BROKEN]) if chance.random() < 1 / 3 else None)
        for job in range(jobs):
            assert simulation.rows(job) == logs.rows(job)


def test_it_ends_with_the_last_marker():
    """The state is not asked for when every job has ended its log."""
    logs = SimulatedLogs(3)
    for job in range(3):
        logs.print(job, 5 * job)
        logs.end(job)
    simulation = Simulation(logs)
    simulation.run()
    assert len(simulation.got) == 15
    assert StateQuery not in [type(ask) for _, ask in simulation.asked]


@pytest.mark.parametrize("rows", [0, 7])
def test_logs_that_never_end_properly(rows):
    """They end soon after the experiment has; so does one that failed before it started. A few looks more are for
    logs that come later than the state.
    """
    logs = SimulatedLogs(1)
    logs.print(0, rows)
    simulation = Simulation(logs)
    simulation.state = STOPPED
    simulation.run()
    assert len(simulation.got) == rows
    assert simulation.now - 1000 < 1
    late = SimulatedLogs(1)
    simulation = Simulation(late)
    simulation.state = STOPPED
    while len(late.given) < 2:
        assert simulation.step() is not None
    late.print(0, 5)
    simulation.run()
    assert simulation.rows(0) == late.rows(0)


def test_a_gap_that_stays_is_passed_over():
    """Rows that the service has thrown away do not keep back those that it has kept."""
    logs = SimulatedLogs(2)
    logs.print(0, 50)
    logs.print(1, 90)
    del logs.jobs[0][:30], logs.jobs[1][40:60]
    logs.page = lambda question: sorted(
        (row for log in logs.jobs for row in log if row.line > question.line), key=lambda row: row.line
    )[: question.limit]
    simulation = Simulation(logs, limit=7)
    simulation.state = STOPPED
    simulation.run()
    assert simulation.rows(0) == logs.rows(0)
    assert simulation.rows(1) == logs.rows(1)
    assert simulation.now - 1000 < 10


@pytest.mark.parametrize("jobs", [1, 3])
def test_who_goes_on_where_the_error_says_has_everything(jobs):
    """Of one job exactly what is missing; of several nothing is missing, and some rows come again."""
    logs = SimulatedLogs(jobs, seed=7)
    for job in range(jobs):
        logs.print(job, 100 * (job + 1))
        logs.end(job)
    first = Simulation(logs, limit=30)
    while len(first.got) < 80:
        first.step()
    with pytest.raises(LogsInterruptedError) as caught:
        first.go(2 * PATIENCE, BROKEN)
    second = Simulation(logs, line=caught.value.line)
    second.run()
    for job in range(jobs):
        both = first.rows(job) + second.rows(job)
        assert sorted(set(both), key=lambda row: row.line) == logs.rows(job)
        assert jobs > 1 or both == logs.rows(job)


@pytest.mark.parametrize("jobs", [1, 3])
def test_memory_stays_flat(jobs):
    """A hundred thousand rows need no more of it than ten thousand."""
    peaks = [peak_of_following(jobs, rows) for rows in (10_000, 100_000)]
    assert peaks[1] < 1.2 * peaks[0]


def peak_of_following(jobs, rows):
    logs = SimulatedLogs(jobs)
    # Rows are made when they are asked for: the test may not keep them either.
    logs.answer = lambda question, fault: [
        logs.row(job, line, END_OF_LOG if line == rows else "x" * 100)
        for line in range(question.line + 1, min(rows, question.line + question.limit // jobs) + 1)
        for job in range(jobs)
    ]
    simulation = Simulation(logs, limit=600)
    count = 0
    tracemalloc.start()
    while not simulation.finished:
        simulation.step()
        count += len(simulation.got)
        simulation.got.clear()
        simulation.asked.clear()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == jobs * (rows - 1)
    return peak


def test_the_first_question_is_for_the_experiment():
    """How many jobs there are says when all have ended."""
    simulation = Simulation(SimulatedLogs(1))
    simulation.step()
    assert isinstance(simulation.asked[0][1], ExperimentQuery)


def test_silence_costs_one_question_for_each_time_that_the_server_holds_one():
    """It would have said at once that the experiment has ended; every five minutes it is asked all the same."""
    simulation = Simulation(SimulatedLogs(1), holds=True)
    simulation.go(59)
    assert [type(ask) for _, ask in simulation.asked] == [ExperimentQuery, LogsQuery, LogsQuery, LogsQuery]
    simulation.go(3600)
    looks = [now for now, ask in simulation.asked if isinstance(ask, StateQuery)]
    pauses = [later - earlier for earlier, later in pairwise([1000, *looks])]
    assert all(300 <= pause < 300 + 2 * LONGEST_HOLD for pause in pauses)
    assert len(simulation.asked) < 1.1 * 3660 / LONGEST_HOLD


def test_the_state_is_asked_for_where_a_server_does_not_hold_questions():
    """An empty answer that comes at once may be the last one."""
    simulation = Simulation(SimulatedLogs(1), holds=False)
    simulation.go(10)
    kinds = [type(ask) for _, ask in simulation.asked]
    assert kinds[1:7] == [LogsQuery, StateQuery] * 3


@pytest.mark.parametrize("pace", [0.5, 0.05, 0.015])
def test_rows_that_come_one_by_one_are_there_at_once(pace):
    """The next question follows the answer without a pause, also after many rows have come at once."""
    logs = SimulatedLogs(1, pace=pace)
    logs.print(0, 1000)
    simulation = Simulation(logs, holds=True)
    while len(simulation.got) < 1001:
        simulation.step()
    while len(simulation.got) < 1200:
        assert not isinstance(simulation.step(), Pause)
    assert {type(ask) for _, ask in simulation.asked[1:]} == {LogsQuery}


def test_a_state_that_is_shown_does_not_stay_behind():
    """As long as it is one in which no rows should come, and they do, it is asked for twice a second."""
    simulation = Simulation(SimulatedLogs(1, pace=0.05), holds=True, displays_state=True)
    simulation.state = ExperimentState.PROVISIONING
    simulation.go(3)
    assert simulation.follower.state == ExperimentState.PROVISIONING
    simulation.state = ExperimentState.RUNNING
    simulation.go(0.7)
    assert simulation.follower.state == ExperimentState.RUNNING
    asked = len(simulation.asked)
    simulation.go(4)
    assert StateQuery not in [type(ask) for _, ask in simulation.asked[asked:]]
