"""Restarts: all connections are reset, nobody listens for a while, and experiments are kept or not."""

import contextlib
import http.client
import socket
import threading
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server import LocalServer, local_server
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import PATIENCE, raw_request, responses_to

pytestmark = pytest.mark.usefixtures("server_stays_healthy")


@pytest.fixture
def address(gradient_server):
    return "127.0.0.1", int(gradient_server.url.rpartition(":")[2])


@pytest.fixture
def restarting(gradient_server):
    """Restart in a thread."""
    threads = []

    def restarting(**settings):
        threads.append(threading.Thread(target=lambda: gradient_server.restart(**settings)))
        threads[0].start()

    yield restarting
    threads[0].join(PATIENCE)
    assert not threads[0].is_alive()


def refuses(address):
    try:
        socket.create_connection(address, timeout=PATIENCE).close()
    except ConnectionError:
        return True
    return False


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)  # Polling without a pause would slow the server down.


def test_a_restart_keeps_experiments_and_clock(ask, frozen_server, single_node_body):
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    frozen_server.advance(12)
    before, timestamp = ask("GET", f"{EXPERIMENTS}{handle}/").body, frozen_server.clock.now()
    ask.close()
    frozen_server.restart()
    assert frozen_server.clock.now() == timestamp
    assert ask("GET", f"{EXPERIMENTS}{handle}/").body == before
    assert before["data"]["state"] == State.RUNNING


def test_a_restart_without_keep_is_a_new_server(ask, gradient_server, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    ask.close()
    gradient_server.restart(keep=False)
    assert ask("GET", f"{EXPERIMENTS}{handle}/").status == 404
    assert ask("GET", EXPERIMENTS).body["meta"]["totalItems"] == 0
    assert ask("POST", EXPERIMENTS, single_node_body).body["handle"] == handle


@pytest.mark.parametrize("keep", [True, False])
def test_faults_continue_after_a_restart(ask, gradient_server, keep):
    with gradient_server.faults(statuses=503):
        assert ask("GET", EXPERIMENTS).status == 503
        ask.close()
        gradient_server.restart(keep=keep)
        assert ask("GET", EXPERIMENTS).status == 503
    assert gradient_server.faults_injected == {"status": 2}


@pytest.mark.parametrize("keep", [True, False])
def test_a_restart_resets_all_connections(ask, frozen_server, single_node_body, connect, keep):
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    listing = raw_request("GET", EXPERIMENTS + "?limit=0")
    json_headers = ("Content-Type: application/json", "Content-Length: 99")
    sent = {
        "nothing": b"",
        "a long poll": raw_request("GET", f"/jobs/logs?experimentId={handle}&wait=60"),
        "half of the headers": listing[:-9],
        "half a body": raw_request("POST", EXPERIMENTS, *json_headers, body=b"x"),
    }
    connections = {}
    for situation, request in sent.items():
        connections[situation] = connect()
        responses_to(connections[situation], listing)
        connections[situation].sendall(request)
    ask("GET", EXPERIMENTS)
    ask.close()
    frozen_server.restart(keep=keep)
    for situation, connection in connections.items():
        with pytest.raises(ConnectionResetError, match="reset"):
            assert connection.recv(9000) == situation


@pytest.mark.parametrize("is_taken", [False, True], ids=["free", "taken by another program for a while"])
def test_nobody_listens_until_the_pause_is_over_and_the_port_is_free(ask, address, restarting, is_taken):
    began = time.monotonic()
    restarting(pause=0.3)
    wait_until(lambda: refuses(address))
    if is_taken:
        with socket.create_server(address):
            time.sleep(0.6)  # Beyond the end of the pause.
    wait_until(lambda: not refuses(address))
    assert 0.3 <= time.monotonic() - began < 5
    assert ask("GET", EXPERIMENTS).status == 200


def test_a_port_that_stays_in_use_is_an_error_and_the_server_can_be_stopped(monkeypatch):
    monkeypatch.setattr(local_server, "RESTART_TIMEOUT", 0.2)
    taken = []
    with LocalServer() as server:
        address = "127.0.0.1", int(server.url.rpartition(":")[2])

        def take():
            wait_until(lambda: refuses(address))
            taken.append(socket.create_server(address))

        taking = threading.Thread(target=take)
        taking.start()
        with pytest.raises(OSError, match="in use"):
            server.restart(pause=1)
        taking.join(PATIENCE)
    taken[0].close()


def test_no_acknowledged_experiment_is_lost_by_many_restarts(ask, gradient_server, single_node_body):
    made, stop = [], threading.Event()

    def create():
        while not stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                made.append(ask("POST", EXPERIMENTS, single_node_body).body["handle"])
                continue
            ask.close()

    creating = threading.Thread(target=create)
    creating.start()
    for number in range(20):
        wait_until(lambda number=number: len(made) > 3 * number)
        gradient_server.restart()
    stop.set()
    creating.join(PATIENCE)
    ask.close()
    found = {experiment["handle"] for experiment in ask("GET", EXPERIMENTS + "?limit=-1").body["data"]}
    assert found >= set(made)
    assert len(made) > 50


def test_only_a_running_server_can_be_restarted():
    server = LocalServer()
    with pytest.raises(RuntimeError, match="runs"):
        server.restart()
    with server:
        server.restart()
        server.restart(keep=False)
    with pytest.raises(RuntimeError, match="runs"):
        server.restart()
