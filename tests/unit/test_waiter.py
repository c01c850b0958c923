"""Waiting for experiments: what is asked, when it is over, and what it ends with."""

import math

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES, ExperimentState

from gradient import (
    ExperimentFailedError,
    LogRow,
    NotFoundError,
    RequestFailedError,
    SingleNodeExperiment,
    StateNotReachedError,
    WaitTimeoutError,
)
from gradient_ext.config import Options
from gradient_ext.polling import ExperimentQuery, LogsQuery, Pause, StateQuery, Waiter

PATIENCE = Options().patience

RUNNING, STOPPED, FAILED = ExperimentState.RUNNING, ExperimentState.STOPPED, ExperimentState.FAILED
ERROR, CANCELLED = ExperimentState.ERROR, ExperimentState.CANCELLED
CREATED, PROVISIONED = ExperimentState.CREATED, ExperimentState.PROVISIONED


class Waiting:
    """A waiter whose time goes by in steps, and an experiment that is in a state."""

    def __init__(self, state, *, holds=False, logs=(), **given):
        self.waiter = Waiter(handle="es1", **given)
        self.state = state
        self.holds = holds
        self.logs = [LogRow(line, message, "") for line, message in enumerate(logs, start=1)]
        self.now = 1000.0
        self.asked = []
        self.seen = []

    def step(self, error=None):
        step = self.waiter.next_step(self.now)
        if isinstance(step, Pause):
            self.now += step.seconds
        elif step:
            self.asked.append((self.now, step))
            if error:
                self.now += 1
                self.waiter.on_error(error, self.now)
                return step
            if self.holds and self.state not in TERMINAL_STATES:
                self.now += step.wait
            self.seen += self.waiter.on_response(self.answer(step))
        return step

    def answer(self, step):
        match step:
            case StateQuery():
                return self.state
            case ExperimentQuery():
                return SingleNodeExperiment(
                    id="es1", state=self.state, experiment_type_id=1, experiment_error="out of memory"
                )
            case LogsQuery():
                return [row for row in self.logs if row.line > step.range.line][: step.range.limit]

    def go(self, seconds, error=None):
        """Pass time; with an error, every request fails with it."""
        end = self.now + seconds
        while self.now < end and self.step(error):
            pass

    def result(self):
        self.go(24 * 60 * 60)
        assert self.step() is None
        return self.waiter.result()


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
@pytest.mark.parametrize("raise_on_failure", [True, False])
def test_an_experiment_that_has_ended(state, raise_on_failure):
    """It is returned at once, unless it has failed. That somebody has stopped it is no failure."""
    waiting = Waiting(state, logs=["one", "two", END_OF_LOG], raise_on_failure=raise_on_failure)
    if raise_on_failure and state in (FAILED, ERROR):
        with pytest.raises(ExperimentFailedError) as caught:
            waiting.result()
        assert (caught.value.experiment_id, caught.value.state) == ("es1", state)
        assert caught.value.experiment.state == state
        assert caught.value.experiment_error == "out of memory"
        assert [row.message for row in caught.value.rows] == ["one", "two"]
        assert str(caught.value) == (
            f"Experiment es1 has ended as {ExperimentState.get_state_str(state)}: out of memory\n"
            "The last rows of its logs:\n  1  one\n  2  two"
        )
    else:
        assert waiting.result().state == state
        assert LogsQuery not in [type(ask) for _, ask in waiting.asked]
    assert waiting.now == 1000


@pytest.mark.parametrize("until", [{RUNNING}, {RUNNING, FAILED}, {STOPPED}, None])
@pytest.mark.parametrize("end", sorted(TERMINAL_STATES))
def test_a_state_that_comes_or_does_not(until, end):
    """It ends with a state that was waited for, even a failure; or where none can come any more, with an error."""
    waiting = Waiting(PROVISIONED, until=until)
    waiting.go(30)
    waiting.state = end
    if end in (until or {STOPPED, CANCELLED}):
        assert waiting.result().state == end
    elif end in (FAILED, ERROR):
        with pytest.raises(ExperimentFailedError):
            waiting.result()
    else:
        with pytest.raises(StateNotReachedError) as caught:
            waiting.result()
        assert (caught.value.state, caught.value.until) == (end, tuple(sorted(until)))
        words = " or ".join(ExperimentState.get_state_str(state) for state in sorted(until))
        word = ExperimentState.get_state_str(end)
        assert str(caught.value) == f"Experiment es1 has ended as {word}; it will not be {words} any more"
    assert waiting.seen == [PROVISIONED, end]


def test_a_failure_is_never_a_state_that_was_waited_for():
    """Not raising on failure is no reason to return an experiment in another state."""
    waiting = Waiting(FAILED, until={RUNNING}, raise_on_failure=False)
    with pytest.raises(StateNotReachedError):
        waiting.result()


def test_the_pace_of_a_server_that_does_not_hold_requests():
    """From 0.2 to 10 seconds, and from the start again when the state changes."""
    waiting = Waiting(CREATED)
    waiting.go(3600)
    assert 360 < len(waiting.asked) < 380
    asked = len(waiting.asked)
    waiting.state = RUNNING
    waiting.go(12)
    assert waiting.seen == [CREATED, RUNNING]
    assert len(waiting.asked) > asked + 4


def test_the_pace_of_a_server_that_holds_requests():
    """The first question is not held: nobody knows yet which state is a new one."""
    waiting = Waiting(CREATED, holds=True)
    waiting.go(3600)
    assert [ask.wait for _, ask in waiting.asked[:3]] == [0, 20, 20]
    assert len(waiting.asked) < 365


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("error", [None, RequestFailedError("broke")])
def test_the_time_that_was_given(holds, error):
    """It is over to the second, and the error says in which state the experiment is."""
    waiting = Waiting(RUNNING, holds=holds, timeout=65)
    waiting.go(20)
    with pytest.raises(WaitTimeoutError, match=r"Experiment es1 is still running after 65 seconds") as caught:
        waiting.go(math.inf, error)
    assert 65 <= waiting.now - 1000 < 67
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.experiment_id, caught.value.state, caught.value.error) == ("es1", RUNNING, error)


def test_time_that_is_over_before_anything_is_known():
    """The error says so, and what was wrong."""
    waiting = Waiting(RUNNING, timeout=5)
    with pytest.raises(WaitTimeoutError, match="es1 could not be read after 5 seconds: broke") as caught:
        waiting.go(math.inf, RequestFailedError("broke"))
    assert caught.value.state is None


def test_time_does_not_run_out_while_the_end_is_told():
    """The state came in time; reading the experiment and its logs may take longer."""
    waiting = Waiting(FAILED, timeout=5, logs=["one"])
    waiting.step()
    waiting.now += 100
    with pytest.raises(ExperimentFailedError):
        waiting.result()


@pytest.mark.parametrize("timeout", [5, None])
def test_an_end_that_cannot_be_told(timeout):
    """Who has said how long to wait is not kept for as long again; who has not rides failures out."""
    waiting = Waiting(STOPPED, timeout=timeout)
    waiting.step()
    with pytest.raises(RequestFailedError) as caught:
        waiting.go(math.inf, RequestFailedError("broke"))
    held_out = 5 if timeout else PATIENCE
    assert held_out - 15 < waiting.now - 1000 < held_out + 15
    assert waiting.asked[-1][1].within == (5 if timeout else None)
    assert caught.value.__notes__ == [
        f"Waiting for es1 ended: nothing else for {held_out:g} seconds; it was stopped before."
    ]


def test_the_last_rows_are_not_worth_much_time():
    """Where they come slowly, those that have come are told."""
    waiting = Waiting(FAILED, logs=["row"] * 100_000)
    while not isinstance(waiting.waiter.next_step(waiting.now), LogsQuery):
        waiting.step()
    began = waiting.now
    while waiting.step():
        assert waiting.asked[-1][1].within == 5
        waiting.now += 2
    assert waiting.now - began < 10
    with pytest.raises(ExperimentFailedError) as caught:
        waiting.result()
    assert len(caught.value.rows) == 10


def test_failures_are_ridden_out():
    """Nine minutes are, as often as they come; after ten the last error is raised, and says what was known."""
    waiting = Waiting(RUNNING)
    error = RequestFailedError("broke")
    for _ in range(3):
        waiting.go(30)
        waiting.go(PATIENCE - 60, error)
    waiting.go(30)
    began = waiting.now
    with pytest.raises(RequestFailedError) as caught:
        waiting.go(math.inf, error)
    assert PATIENCE - 15 < waiting.now - began < PATIENCE + 15
    assert caught.value.__notes__ == ["Waiting for es1 ended: nothing else for 600 seconds; it was running before."]


def test_what_does_not_pass_is_raised_at_once():
    """An experiment that has been deleted does not come back."""
    waiting = Waiting(RUNNING)
    waiting.go(3)
    gone = NotFoundError("Failed", status=404, method="GET", url="http://h/")
    with pytest.raises(NotFoundError):
        waiting.go(20, gone)


def test_logs_that_cannot_be_read_do_not_hide_the_failure():
    """Then it is told without them."""
    waiting = Waiting(FAILED, logs=["one"])
    while not isinstance(waiting.waiter.next_step(waiting.now), LogsQuery):
        waiting.step()
    waiting.step(NotFoundError("Failed", status=404, method="GET", url="http://h/"))
    with pytest.raises(ExperimentFailedError) as caught:
        waiting.result()
    assert caught.value.rows == ()
