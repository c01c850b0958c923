"""Many connections, and slow ones: nobody waits for somebody else, and nothing gets lost."""

import contextlib
import json
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gradient_server.http_server import KEEP_ALIVE

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
MANY = 500
PATIENCE = 20


@pytest.fixture
def address(gradient_server):
    return "127.0.0.1", int(gradient_server.url.rpartition(":")[2])


@pytest.fixture
def open_files():
    """Let this process have as many connections as the test needs; each has two ends here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MANY + 200
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip(f"only {hard} files may be open here, and {wanted} are needed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_answer_does_not_wait_for_a_packet(ask):
    """On a kept connection, the parts of an answer are sent at once; held back, each would take 40 ms."""
    ask("GET", EXPERIMENTS)
    began = time.monotonic()
    for _ in range(100):
        assert ask("GET", EXPERIMENTS).status == 200
    assert time.monotonic() - began < 2


def test_connections_are_kept_longer_than_clients_keep_them():
    """Otherwise a client would now and then use one in the moment in which it is closed."""
    assert 2 * httpx.Limits().keepalive_expiry < KEEP_ALIVE


def test_hundreds_of_kept_connections(connect_raw, open_files):
    """All are open at once, and each of them is answered, and again after all others have been."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(connect_raw())) for _ in range(MANY)]
        for client in clients:
            client.connection.connect()
        for _ in range(2):
            assert [client("GET", EXPERIMENTS + "?limit=0").status for client in clients] == [200] * MANY
        # None of them was closed and opened again on the way.
        assert all(client.connection.times_opened == 1 for client in clients)


def test_many_clients_creating_at_once(connect_raw, single_node_body):
    """Fifty at a time: every experiment has an id of its own, and all are there in the end."""
    ready = threading.Barrier(50)

    def create(number):
        with contextlib.closing(connect_raw()) as client:
            client.connection.connect()
            ready.wait(PATIENCE)
            body = {**single_node_body, "name": f"client {number}"}
            return [client("POST", EXPERIMENTS, body).body["handle"] for _ in range(4)]

    with ThreadPoolExecutor(50) as pool:
        handles = [handle for found in pool.map(create, range(50)) for handle in found]
    assert len(set(handles)) == 200
    with contextlib.closing(connect_raw()) as client:
        data = client("GET", EXPERIMENTS + "?limit=-1").body["data"]
    assert {found["handle"] for found in data} == set(handles)
    names = [found["templateHistory"]["params"]["name"] for found in data]
    assert {name: names.count(name) for name in names} == {f"client {number}": 4 for number in range(50)}


def test_a_slow_client_does_not_hold_others_up(address, ask, single_node_body):
    """One sends a byte at a time; between its bytes others are answered, and in the end it is, too."""
    body = json.dumps(single_node_body)
    head = (
        f"POST {EXPERIMENTS} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {ask.key}\r\nContent-Type: application/json\r\n"
    )
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    with socket.create_connection(address, timeout=PATIENCE) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(request)):
            slow.sendall(request[place : place + 1])
            if place % 10 == 0:
                assert ask("GET", EXPERIMENTS).body["data"] == []
        assert slow.recv(9000).startswith(b"HTTP/1.1 200 ")
    assert len(ask("GET", EXPERIMENTS).body["data"]) == 1


def test_who_does_not_read_does_not_hold_others_up(address, ask, single_node_body, gradient_server):
    """One asks for much and reads nothing; others are answered all the same."""
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": 10_000, "GRADIENT_MOCK_SECONDS": 0}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    line = (
        f"GET /jobs/logs?experimentId={handle}&limit=10000 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {ask.key}\r\n\r\n"
    )
    with socket.create_connection(address, timeout=PATIENCE) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(line.encode() * 5)
        assert deaf.recv(1) == b"H"
        for _ in range(20):
            assert ask("GET", EXPERIMENTS).status == 200
