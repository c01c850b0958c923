"""Restarts: all connections break, nobody listens for a while, and then the server has its memory, or has not."""

import contextlib
import http.client
import socket
import threading
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server import LocalServer, listening

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
PATIENCE = 20


@pytest.fixture
def address(gradient_server):
    return "127.0.0.1", int(gradient_server.url.rpartition(":")[2])


@pytest.fixture
def connect(address):
    """Open connections; all are closed in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(address, timeout=PATIENCE))


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


def wait_until(happens):
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.002)  # who asks without a pause takes the time of the server


def test_with_memory(ask, still, single_node_body):
    """Experiments are as they were, and the clock has not noticed anything."""
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    still.advance(12)
    before, moment = ask("GET", f"{EXPERIMENTS}{handle}/").body, still.clock.now()
    ask.close()
    still.restart()
    assert still.clock.now() == moment
    assert ask("GET", f"{EXPERIMENTS}{handle}/").body == before
    assert before["data"]["state"] == State.RUNNING


def test_without_memory(ask, gradient_server, single_node_body):
    """Nobody knows of the experiment any more, and ids begin again, as with a server that is started anew."""
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    ask.close()
    gradient_server.restart(keep=False)
    assert ask("GET", f"{EXPERIMENTS}{handle}/").status == 404
    assert ask("GET", EXPERIMENTS).body["meta"]["totalItems"] == 0
    assert ask("POST", EXPERIMENTS, single_node_body).body["handle"] == handle


@pytest.mark.parametrize("keep", [True, False])
def test_what_goes_wrong_goes_on_going_wrong(ask, gradient_server, keep):
    """Faults are no part of the memory."""
    with gradient_server.faults(statuses=503):
        assert ask("GET", EXPERIMENTS).status == 503
        ask.close()
        gradient_server.restart(keep=keep)
        assert ask("GET", EXPERIMENTS).status == 503
    assert gradient_server.faults_injected == {"status": 2}


@pytest.mark.parametrize("keep", [True, False])
def test_all_connections_break(ask, still, single_node_body, connect, keep):
    """Those that are idle, those that wait for an answer, and those in the middle of a request."""
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    head = f"Host: localhost\r\nX-API-Key: {ask.key}\r\n"
    json = "Content-Type: application/json\r\n"
    listing = f"GET {EXPERIMENTS}?limit=0 HTTP/1.1\r\n{head}\r\n".encode()
    sent = {
        "nothing": b"",
        "a long poll": f"GET /jobs/logs?experimentId={handle}&wait=60 HTTP/1.1\r\n{head}\r\n".encode(),
        "half of the headers": listing[:-9],
        "half a body": f"POST {EXPERIMENTS} HTTP/1.1\r\n{head}{json}Content-Length: 99\r\n\r\nx".encode(),
    }
    connections = {}
    for situation, request in sent.items():
        connections[situation] = connect()
        connections[situation].sendall(listing)
        while not connections[situation].recv(9000).endswith(b"}"):
            pass
        connections[situation].sendall(request)
    ask("GET", EXPERIMENTS)
    ask.close()
    still.restart(keep=keep)
    for situation, connection in connections.items():
        with pytest.raises(ConnectionResetError, match="reset"):
            assert connection.recv(9000) == situation


def test_a_pause(ask, address, restarting):
    """Nobody listens for as long as that; then it serves again at the same address."""
    began = time.monotonic()
    restarting(pause=0.5)
    wait_until(lambda: refuses(address))
    wait_until(lambda: not refuses(address))
    assert 0.5 <= time.monotonic() - began < 5
    assert ask("GET", EXPERIMENTS).status == 200


def test_the_port_is_lent_in_the_meantime(ask, address, restarting):
    """The server takes it again as soon as it is free."""
    restarting(pause=0.3)
    wait_until(lambda: refuses(address))
    with socket.create_server(address):
        time.sleep(0.6)  # not for luck: beyond the end of the pause
    wait_until(lambda: not refuses(address))
    assert ask("GET", EXPERIMENTS).status == 200


def test_the_port_is_taken_in_the_meantime(monkeypatch):
    """After some patience that is an error, and the server can still be stopped."""
    monkeypatch.setattr(listening, "PATIENCE", 0.2)
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


def test_again_and_again(ask, gradient_server, single_node_body):
    """Whoever was told that an experiment was created finds it after any number of restarts."""
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


def test_only_what_runs_can_be_restarted():
    """Before it runs and after it has stopped, there is an error that says so."""
    server = LocalServer()
    with pytest.raises(RuntimeError, match="runs"):
        server.restart()
    with server:
        server.restart()
        server.restart(keep=False)
    with pytest.raises(RuntimeError, match="runs"):
        server.restart()
