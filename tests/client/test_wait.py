"""Waiting for experiments over real sockets: long polls, servers that go away, callbacks."""

import threading
import time

import pytest

from gradient import BaseExperiment, ExperimentFailedError, InvalidParametersError, ResourceFetchingError
from gradient.constants import ExperimentState
from tests.fake_servers import STATE, status

CREATED, PROVISIONED, RUNNING = ExperimentState.CREATED, ExperimentState.PROVISIONED, ExperimentState.RUNNING
STOPPED, FAILED = ExperimentState.STOPPED, ExperimentState.FAILED


def test_wrong_states_and_timeouts_are_refused_before_anything_is_sent(live, client):
    for wrong in ({"until": "runing"}, {"timeout": 0}, {"timeout": -1}, {"timeout": "1"}, {"timeout": True}):
        with pytest.raises(InvalidParametersError, match=next(iter(wrong))):
            client.wait("es1", **wrong)
    assert live.requests == []


def test_the_experiment_is_returned_in_a_state_that_was_waited_for(live, client):
    assert client.wait("es1", until=iter(["failed", RUNNING])).state == RUNNING


def test_a_change_between_two_requests_is_seen_at_once(live, client):
    """And not when a long poll ends that was made after it."""
    live.change(state=PROVISIONED)
    started_at = time.monotonic()
    client.wait("es1", until=RUNNING, on_state=lambda state: live.change(state=RUNNING))
    assert time.monotonic() - started_at < 1


@pytest.mark.parametrize("holds", [True, False])
def test_the_callback_gets_each_state_soon_whether_the_server_supports_long_polls_or_not(live, client, holds):
    live.change(holds=holds, state=CREATED)
    seen = []
    moments = []

    def on_state(state):
        seen.append(state)
        moments.append(time.monotonic())
        if len(seen) < 4:
            after = {CREATED: PROVISIONED, PROVISIONED: RUNNING, RUNNING: STOPPED}[state]
            threading.Timer(0.2, live.change, kwargs={"state": after}).start()

    experiment = client.wait("es1", on_state=on_state)
    assert isinstance(experiment, BaseExperiment)
    assert (experiment.id, experiment.state) == ("es1", STOPPED)
    assert seen == [CREATED, PROVISIONED, RUNNING, STOPPED]
    assert moments[-1] - moments[0] < 3
    assert len(live.requests_to(STATE)) <= (7 if holds else 14)
    assert live.requests_to(STATE)[1].query == {"wait": "20.0", "known": str(CREATED)}


def test_a_failure_raises_an_error_with_the_reason_and_the_last_ten_rows(live, client):
    live.print(25, end=True)
    live.change(state=FAILED, error="exit code 1")
    with pytest.raises(ExperimentFailedError, match="has ended as failed: exit code 1") as caught:
        client.wait("es1")
    assert [row.line for row in caught.value.rows] == list(range(16, 26))
    assert client.wait("es1", raise_on_failure=False).experiment_error == "exit code 1"


def test_a_long_poll_ends_before_the_timeout(live, client):
    started_at = time.monotonic()
    with pytest.raises(TimeoutError, match=r"Experiment es1 is still running after 1\.2 seconds"):
        client.wait("es1", timeout=1.2)
    assert 1.2 <= time.monotonic() - started_at < 1.8
    assert len(live.requests) <= 7


@pytest.mark.usefixtures("no_backoff")
def test_an_end_during_an_outage_of_the_server_is_not_missed(live, client):
    ended = []
    waiter = threading.Thread(target=lambda: ended.append(client.wait("es1")), daemon=True)
    waiter.start()
    live.wait_for(2, STATE)
    live.stop()
    live.change(state=STOPPED)
    live.start()
    waiter.join(10)
    assert [experiment.state for experiment in ended] == [STOPPED]


def test_an_error_of_the_callback_ends_the_wait_and_the_client_goes_on(live, client):
    def callback(state):
        raise ZeroDivisionError(state)

    with pytest.raises(ZeroDivisionError, match=str(RUNNING)):
        client.wait("es1", on_state=callback)
    assert client.state("es1") == RUNNING


@pytest.mark.parametrize("timeout", [1e-12, float("inf"), 1e12])
def test_a_timeout_may_be_tiny_or_endless(live, client, timeout):
    live.change(state=STOPPED)
    if timeout < 1:
        with pytest.raises(TimeoutError, match="could not be read"):
            client.wait("es1", timeout=timeout)
    else:
        for patient in (client, client.with_options(deadline=None)):
            assert patient.wait("es1", timeout=timeout).state == STOPPED


@pytest.mark.parametrize("number", [401, 403, 404])
def test_an_experiment_that_is_deleted_or_a_key_that_is_revoked_meanwhile_ends_the_wait(flaky, client, number):
    running = status(200, {"data": {"handle": "es1", "experimentTypeId": 1, "state": RUNNING}})
    flaky.plan = [running, running]
    flaky.otherwise = lambda request: status(number)
    with pytest.raises(ResourceFetchingError) as caught:
        client.wait("es1")
    assert caught.value.status == number


def test_waiting_with_the_local_server(client, gradient_server, single_node):
    """From the start to the end, through the states that a poll can see."""
    gradient_server.clock.scale = 20
    seen = []
    experiment_id = client.run_single_node(**single_node)
    assert client.wait(experiment_id, on_state=seen.append, timeout=30).state == STOPPED
    assert seen[-1] == STOPPED
    assert len(set(seen)) == len(seen)
