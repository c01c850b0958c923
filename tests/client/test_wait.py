"""Waiting for experiments over real sockets: held requests, servers that go away, time that is over."""

import json
import threading
import time

import pytest
import stamina
from gradient_api.constants import ExperimentState

from gradient import (
    BaseExperiment,
    ExperimentFailedError,
    InvalidParametersError,
    ResourceFetchingError,
)
from tests.client.blocking import KINDS, client_of
from tests.client.live import LiveServer

CREATED, PROVISIONED, RUNNING = ExperimentState.CREATED, ExperimentState.PROVISIONED, ExperimentState.RUNNING
STOPPED, FAILED = ExperimentState.STOPPED, ExperimentState.FAILED


class Word(str):
    """A text that is more than a str."""

    __slots__ = ()


@pytest.fixture
def live():
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture(params=KINDS)
def live_client(request, live):
    with client_of(request.param, "a-key", base_url=live.url, logs_url=live.url, timeout=5) as client:
        yield client


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ([], "must be a state or several"),
        ("runing", "not 'runing'"),
        ([RUNNING, "gone"], "not 'gone'"),
        (True, "not True"),
        ([1.5], "not 1.5"),
        (b"running", "not b'running'"),
        ({}, "must be a state or several"),
        (object, "must be a state or several"),
    ],
)
def test_states_that_are_none(until, said, live, live_client):
    """They are refused before anything is sent, with the words that there are."""
    with pytest.raises(InvalidParametersError, match=said) as caught:
        live_client.wait("es1", until=until)
    assert "network tearing down" in str(caught.value)
    assert live.requests == []


@pytest.mark.parametrize("until", [RUNNING, Word("running"), ["running"], {RUNNING, "stopped"}, ("failed", RUNNING)])
def test_states_by_number_and_by_word(until, live_client):
    """One or several, and from an iterator, too."""
    assert live_client.wait("es1", until=until).state == RUNNING
    assert live_client.wait("es1", until=iter(["failed", RUNNING])).state == RUNNING


def test_a_change_between_two_requests(live, live_client):
    """It is told at once, and not when a request that is held ends that was made after it."""
    live.change(state=PROVISIONED)
    began = time.monotonic()
    live_client.wait("es1", until=RUNNING, on_state=lambda state: live.change(state=RUNNING))
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("holds", [True, False])
def test_states_are_told_as_they_change(live, live_client, holds):
    """Soon, whether the server holds requests or not; and the experiment as it is at the end is returned."""
    live.change(holds=holds, state=CREATED)
    seen = []
    moments = []

    def moved(state):
        seen.append(state)
        moments.append(time.monotonic())
        if len(seen) < 4:
            after = {CREATED: PROVISIONED, PROVISIONED: RUNNING, RUNNING: STOPPED}[state]
            threading.Timer(0.3, live.change, kwargs={"state": after}).start()

    experiment = live_client.wait("es1", on_state=moved)
    assert isinstance(experiment, BaseExperiment)
    assert (experiment.id, experiment.state) == ("es1", STOPPED)
    assert seen == [CREATED, PROVISIONED, RUNNING, STOPPED]
    assert moments[-1] - moments[0] < 3
    assert len(live.asked("/state/")) <= (7 if holds else 14)
    assert live.asked("/state/")[1] == {"wait": "20.0", "known": str(CREATED)}


def test_an_experiment_that_fails(live, live_client):
    """The error carries the experiment, its state, why, and the last ten rows."""
    live.print(25, end=True)
    live.change(state=FAILED, error="exit code 1")
    with pytest.raises(ExperimentFailedError, match="has ended as failed: exit code 1") as caught:
        live_client.wait("es1")
    assert [row.line for row in caught.value.rows] == list(range(16, 26))
    assert live_client.wait("es1", raise_on_failure=False).experiment_error == "exit code 1"
    assert live_client.wait("es1", until="failed").state == FAILED


@pytest.mark.parametrize("holds", [True, False])
def test_time_that_is_over(live, live_client, holds):
    """Whether the server holds requests or not."""
    live.change(holds=holds)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"Experiment es1 is still running after 1\.2 seconds"):
        live_client.wait("es1", timeout=1.2)
    assert 1.2 <= time.monotonic() - began < 1.8
    assert len(live.requests) <= 7
    for wrong in (0, -1, "1", True):
        with pytest.raises(InvalidParametersError, match="timeout"):
            live_client.wait("es1", timeout=wrong)


def test_a_server_that_goes_away_and_comes_back(live, live_client):
    """It is waited on, and the end is not missed."""
    stamina.set_testing(True, attempts=2)
    try:
        ended = []
        waiter = threading.Thread(target=lambda: ended.append(live_client.wait("es1")), daemon=True)
        waiter.start()
        live.wait_for(2, "/state/")
        live.stop()
        live.change(state=STOPPED)
        live.start()
        waiter.join(10)
        assert [experiment.state for experiment in ended] == [STOPPED]
    finally:
        stamina.set_testing(False)


def test_an_old_server_without_the_light_state(scripted, scripted_client):
    """The whole experiment is read instead."""
    experiment = {"data": {"handle": "es1", "experimentTypeId": 1, "state": STOPPED}}
    scripted.otherwise = lambda method, path: (
        (404, "application/json", b"{}")
        if "/state/" in path
        else (200, "application/json", json.dumps(experiment).encode())
    )
    assert scripted_client.wait("es1").state == STOPPED


def test_a_callback_that_raises(live, live_client):
    """Ends the wait with its own error, and the client goes on."""

    def callback(state):
        raise ZeroDivisionError(state)

    with pytest.raises(ZeroDivisionError, match=str(RUNNING)):
        live_client.wait("es1", on_state=callback)
    assert live_client.state("es1") == RUNNING


def test_states_that_nobody_knows(live, live_client):
    """They are told, and do not end the wait."""
    live.change(state=77, holds=False)
    seen = []

    def moved(state):
        seen.append(state)
        live.change(state={77: RUNNING, RUNNING: STOPPED}.get(state, state))

    assert live_client.wait("es1", on_state=moved).state == STOPPED
    assert seen == [77, RUNNING, STOPPED]
    live.change(state=77)
    with pytest.raises(TimeoutError, match="still in state 77 after"):
        live_client.wait("es1", timeout=0.3)


@pytest.mark.parametrize("timeout", [1e-12, float("inf"), 1e12])
def test_odd_timeouts(live, live_client, timeout):
    """One is over before anything has come, the others never are."""
    live.change(state=STOPPED)
    if timeout < 1:
        with pytest.raises(TimeoutError, match="could not be read"):
            live_client.wait("es1", timeout=timeout)
    else:
        for patient in (live_client, live_client.with_options(deadline=None)):
            assert patient.wait("es1", timeout=timeout).state == STOPPED


@pytest.mark.parametrize("number", [401, 403, 404])
def test_an_experiment_that_goes_away(scripted, scripted_client, number):
    """One that is deleted while it is waited for or followed, or a key that is taken away, is a clear error."""
    state = {"data": {"handle": "es1", "experimentTypeId": 1, "state": RUNNING}}
    rows = [{"jobId": "js1", "line": 1, "message": "one", "timestamp": ""}]
    scripted.otherwise = lambda method, path: (
        (number, "application/json", b"{}")
        if len(scripted.requests) > 2
        else (200, "application/json", json.dumps(rows if "logs" in path else state).encode())
    )
    with pytest.raises(ResourceFetchingError) as caught:
        scripted_client.wait("es1")
    assert caught.value.status == number
    scripted.requests.clear()
    lines = []
    with pytest.raises(ResourceFetchingError) as caught:
        lines.extend(row.line for row in scripted_client.yield_logs("es1"))
    assert (caught.value.status, lines) == (number, [1])


def test_waiting_with_the_local_server(client, gradient_server, single_node):
    """From the start to the end, through the states that a poll can see."""
    gradient_server.clock.scale = 20
    seen = []
    experiment_id = client.run_single_node(**single_node)
    assert client.wait(experiment_id, on_state=seen.append, timeout=30).state == STOPPED
    assert seen[-1] == STOPPED
    assert len(set(seen)) == len(seen)
