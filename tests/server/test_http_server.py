"""Many connections at once: idle ones make room for new ones, and requests in progress are never dropped."""

import contextlib
import http.client
import resource
import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette

from gradient_server import LocalServer, http_server
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import raw_request, statuses_of

TIMEOUT = 20
FEW_OPEN_FILES = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))
runpy.run_module("gradient_server", run_name="__main__", alter_sys=True)
"""


def is_closed(connection):
    with contextlib.suppress(ConnectionResetError):  # there was unread data
        while connection.recv(9000):
            pass
    return True


def port_of(process):
    return int(process.stdout.readline().split(" at ")[1].split()[0].rpartition(":")[2])


HALF_A_REQUEST = {
    "nothing": b"",
    "half of the headers": b"GET / HTTP/1.1\r\n",
    "half of the body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
}


@pytest.mark.parametrize("sent", HALF_A_REQUEST.values(), ids=HALF_A_REQUEST)
def test_a_new_connection_evicts_the_one_that_has_been_idle_for_longest(connect, connect_raw, monkeypatch, sent):
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 5)
    idle = [connect() for _ in range(5)]
    for connection in idle:
        connection.sendall(sent)
    with contextlib.closing(connect_raw()) as client:
        assert client("GET", EXPERIMENTS).status == 200
        assert is_closed(idle[0])
        more = [connect() for _ in range(3)]
        assert client("GET", EXPERIMENTS).status == 200
        assert client.connection.times_opened == 1
    assert all(is_closed(connection) for connection in idle[1:4])
    assert more


@pytest.fixture
def many_open_files():
    """Let this process open 4096 files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 4096:
        pytest.skip("this process cannot open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_open_files")
def test_a_thousand_connections_are_kept():
    with LocalServer() as server, contextlib.ExitStack() as stack:
        address = server.url.removeprefix("http://").split(":")
        idle = [stack.enter_context(socket.create_connection(address, timeout=TIMEOUT)) for _ in range(999)]
        assert statuses_of(server, raw_request("GET", "/nothing")) == [404]
        first, second = idle[:2]
        first.setblocking(False)
        with pytest.raises(BlockingIOError):
            first.recv(1)
        first.settimeout(TIMEOUT)
        idle.append(stack.enter_context(socket.create_connection(address, timeout=TIMEOUT)))
        assert statuses_of(server, raw_request("GET", "/nothing")) == [404]
        assert is_closed(first)
        second.setblocking(False)
        with pytest.raises(BlockingIOError):
            second.recv(1)


def test_idle_connections_are_kept_longer_than_clients_keep_them():
    """Otherwise a client would now and then send a request just when the connection is closed."""
    config = http_server.http_server(Starlette(), before_stopping=lambda: None).config
    assert config.timeout_keep_alive == 75 > 2 * httpx.Limits().keepalive_expiry


def test_requests_in_progress_are_not_evicted(connect, connect_raw, frozen_server, monkeypatch, single_node_body):
    with contextlib.closing(connect_raw()) as client:
        handle = client("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    poll = f"GET {EXPERIMENTS}{handle}/state/?known=10&wait=60 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {client.key}"
    polls = [connect() for _ in range(6)]
    for connection in polls:
        connection.sendall(f"{poll}\r\n\r\n".encode())
    for limit in (1000, 1000, 1000, 3, 3, 3):  # what comes first is read first: the polls are held by now
        monkeypatch.setattr(http_server, "MAX_CONNECTIONS", limit)
        with contextlib.closing(connect_raw()) as client:
            assert client("GET", EXPERIMENTS).status == 200
    frozen_server.advance(100)
    assert [connection.recv(9000)[:13] for connection in polls] == [b"HTTP/1.1 200 "] * 6


@pytest.mark.parametrize("files", [64, 256])
def test_a_server_that_may_open_few_files_serves_clients_among_many_idle_connections(launch, files):
    process = launch("--port", "0", program=("-c", FEW_OPEN_FILES.format(files)))
    port = port_of(process)
    with contextlib.ExitStack() as stack:
        process.send_signal(signal.SIGSTOP)  # so that it finds all of them at once
        for _ in range(600):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
            connection.sendall(b"GET / HTTP/1.1\r\n")
        process.send_signal(signal.SIGCONT)
        client = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)))
        client.request("GET", EXPERIMENTS, headers={"X-API-Key": "gradient-local"})
        assert client.getresponse().status == 200
    process.terminate()
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")


def test_a_server_that_may_open_too_few_files_says_so_and_does_not_start(launch):
    process = launch("--port", "0", program=("-c", FEW_OPEN_FILES.format(63)))
    _, errors = process.communicate(timeout=TIMEOUT)
    text = "a server needs 64 open files, and this process may have 63; see ulimit -n"
    assert (process.returncode, errors) == (1, f"python -m gradient_server: Cannot listen on 127.0.0.1:0: {text}\n")


def test_connections_wait_for_a_busy_server(launch):
    process = launch("--port", "0")
    port = port_of(process)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)) as client:
        client.request("GET", "/nothing")
        assert client.getresponse().status == 404  # it serves
    process.send_signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        waiting = []
        try:
            for _ in range(200):
                waiting.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=1)))
                waiting[-1].sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        finally:
            process.send_signal(signal.SIGCONT)
        for connection in waiting:
            connection.settimeout(TIMEOUT)
            assert connection.recv(9000).startswith(b"HTTP/1.1 404 ")
