"""Clients that send or read slowly, or open many connections: they are let go, and nobody else has to wait for that."""

import contextlib
import http.client
import json
import resource
import signal
import socket
import threading
import time
from collections import deque

import pytest

from gradient_server import connection_limit, slow_clients
from gradient_server.slow_clients import Part, SlowClients, Step

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
PATIENCE = 20
SHORT = 0.3


@pytest.fixture
def connect(gradient_server):
    """Open connections; all are closed in the end."""
    address = "127.0.0.1", int(gradient_server.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(address, timeout=PATIENCE))


@pytest.fixture
def head(gradient_server):
    key = f"Host: localhost\r\nX-API-Key: {gradient_server.api_key}\r\n"
    return lambda method, path, *more: "\r\n".join([f"{method} {path} HTTP/1.1", key + "\r\n".join(more)]).encode()


@pytest.fixture
def impatient(monkeypatch):
    """Let a part of requests be late after a moment."""
    return lambda part, seconds=SHORT: monkeypatch.setitem(slow_clients.SECONDS, part, seconds)


def sent_until_closed(connection, part=b"x", pause=0.05):
    """Send a little again and again until the other side has closed the connection; what it has answered."""
    connection.settimeout(pause)
    found, deadline = b"", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(part)
        try:
            received = connection.recv(9000)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return found
        if not received:
            return found
        found += received
    raise AssertionError("nobody has closed the connection")


def is_closed(connection):
    """Wait until the other side closes a connection without a word."""
    with contextlib.suppress(ConnectionResetError):  # what was sent was not even read
        return connection.recv(9000) == b""
    return True


def assert_408(answered, what):
    status, _, rest = answered.partition(b"\r\n")
    assert status.startswith(b"HTTP/1.1 408 "), answered
    body = json.loads(rest.partition(b"\r\n\r\n")[2])
    assert set(body) == {"error", "details"}
    assert what in body["details"]


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nX-Header: "], ids=["in the line", "in a header"])
def test_a_head_that_does_not_end(connect, ask, impatient, start):
    """A byte now and then does not help: 408 says what took too long, and the connection is closed."""
    impatient(Part.HEAD)
    connection = connect()
    connection.sendall(start)
    assert_408(sent_until_closed(connection), "head of the request took longer than 0.3 seconds")


def test_a_second_head_that_does_not_end(connect, ask, head, impatient):
    """On a kept connection it is the same; what was answered before is answered."""
    impatient(Part.HEAD)
    connection = connect()
    connection.sendall(head("GET", EXPERIMENTS, "\r\n"))
    while not connection.recv(9000).endswith(b"}"):
        pass
    connection.sendall(b"GET")
    assert_408(sent_until_closed(connection), "head")


def test_who_says_nothing_at_all(connect, impatient):
    """Is let go without a word: browsers open connections in advance, and would misunderstand one."""
    impatient(Part.HEAD)
    assert connect().recv(9000) == b""


@pytest.mark.parametrize(
    ("headers", "part"),
    [(["Content-Length: 1000000"], b" "), (["Transfer-Encoding: chunked"], b"1\r\n \r\n")],
    ids=["with its length", "in chunks"],
)
def test_a_body_that_does_not_end(connect, ask, head, impatient, headers, part):
    """408, and nothing has been created."""
    impatient(Part.BODY)
    connection = connect()
    connection.sendall(head("POST", EXPERIMENTS, "Content-Type: application/json", *headers, "", ""))
    assert_408(sent_until_closed(connection, part), "body of the request took longer than 0.3 seconds")
    assert ask("GET", EXPERIMENTS).body["data"] == []


@pytest.mark.parametrize("kind", ["Content-Type: text/plain", "X-API-Key: wrong"])
def test_a_body_that_nobody_wants_and_that_does_not_end(connect, head, impatient, kind):
    """The answer has long been given; the connection is closed nevertheless."""
    impatient(Part.BODY)
    connection = connect()
    connection.sendall(head("POST", EXPERIMENTS, kind, "Transfer-Encoding: chunked", "", ""))
    answered = sent_until_closed(connection, b"1\r\n \r\n")
    assert answered.count(b"HTTP/1.1 ") == 1
    assert answered.startswith(b"HTTP/1.1 4")


def test_who_does_not_read(connect, ask, head, impatient, single_node_body):
    """Is let go when it has not read a little in that time; otherwise it would hold the answer in memory for ever."""
    impatient(Part.ANSWER)
    environment = {"GRADIENT_MOCK_LOG_LINES": 50_000, "GRADIENT_MOCK_SECONDS": 0}
    handle = ask("POST", EXPERIMENTS + "run/", {**single_node_body, "experimentEnv": environment}).body["handle"]
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(head("GET", f"/jobs/logs?experimentId={handle}&limit=50000", "", "") * 5)
    assert connection.recv(1) == b"H"
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(ConnectionError):  # what is sent to it is refused
        while time.monotonic() < deadline:
            connection.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() < deadline


def test_who_reads_slowly_gets_all_of_it(connect, ask, head, impatient, single_node_body):
    """As long as it reads a little in each while, it may take as long as it wants."""
    impatient(Part.ANSWER, 1)
    environment = {"GRADIENT_MOCK_LOG_LINES": 50_000, "GRADIENT_MOCK_SECONDS": 0}
    handle = ask("POST", EXPERIMENTS + "run/", {**single_node_body, "experimentEnv": environment}).body["handle"]
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
    connection.sendall(head("GET", f"/jobs/logs?experimentId={handle}&limit=50000", "Connection: close", "", ""))
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    began, rows = time.monotonic(), b""
    pause = 4 / answer.length
    while part := answer.read1(2**17):
        rows += part
        time.sleep(len(part) * pause)
    assert time.monotonic() - began > 3
    assert len(json.loads(rows)) == 50_000


def test_who_waits_for_the_server_is_not_slow(ask, still, impatient, single_node_body):
    """Long polls and connections that are kept take longer than any part of a request may."""
    for part in Part:
        impatient(part)
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    began = time.monotonic()
    assert ask("GET", f"{EXPERIMENTS}{handle}/state/?known=10&wait=2.5").status == 200
    assert time.monotonic() - began >= 2.5
    time.sleep(2.5)  # not for luck: an idle connection stays open for that long
    assert ask("GET", EXPERIMENTS).status == 200
    assert ask.connection.times_opened == 1


def test_too_many_connections(connect, connect_raw, monkeypatch):
    """The newest is served; the one goes that has had no answer for the longest time, also when it sends a little."""
    monkeypatch.setattr(connection_limit, "MOST", 5)
    silent = [connect() for _ in range(5)]
    for connection in silent:
        connection.sendall(b"GET")
    with contextlib.closing(connect_raw()) as client:
        assert client("GET", EXPERIMENTS).status == 200
        assert is_closed(silent[0])
        more = [connect() for _ in range(3)]
        assert client("GET", EXPERIMENTS).status == 200
        assert client.connection.times_opened == 1
    assert all(is_closed(connection) for connection in silent[1:4])
    assert more


def test_nobody_for_whom_something_is_done_is_let_go(connect, ask, still, head, monkeypatch, single_node_body):
    """Where all wait for the server, the newest is told to come again."""
    handle = ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]
    polls = [connect() for _ in range(3)]
    for poll in polls:
        poll.sendall(head("GET", f"{EXPERIMENTS}{handle}/state/?known=10&wait=60", "", ""))
    for _ in range(5):  # what comes later is answered later: the polls are held open by now
        assert ask("GET", EXPERIMENTS).status == 200
    ask.close()
    monkeypatch.setattr(connection_limit, "MOST", 3)
    deadline = time.monotonic() + PATIENCE
    answered = b""
    while not answered.startswith(b"HTTP/1.1 503 "):
        assert time.monotonic() < deadline
        with contextlib.closing(connect()) as connection:
            # As long as the connection that was closed is known, it is the one that goes.
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError, ConnectionError):
                answered = connection.recv(9000)
    assert b"Retry-After: 1\r\n".lower() in answered.lower()
    assert set(json.loads(answered.partition(b"\r\n\r\n")[2])) == {"error", "details"}
    still.advance(100)
    assert sum(poll.recv(9000).startswith(b"HTTP/1.1 200 ") for poll in polls) == 3


def test_a_flood_of_connections(launch):
    """Of a server that may open few files: while somebody opens thousands of connections, others are served."""
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
    run = "runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"
    process = launch("--port", "0", program=("-c", limit + run))
    port = int(process.stdout.readline().split(" at ")[1].split()[0].rpartition(":")[2])
    over, held = threading.Event(), deque()

    def flood():
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", port), timeout=1)
                held.append(connection)
                connection.sendall(b"GET / HTTP/1.1\r\n")
            if len(held) >= 600:
                held.popleft().close()

    flooding = [threading.Thread(target=flood) for _ in range(2)]
    for thread in flooding:
        thread.start()
    try:
        times = []
        for _ in range(40):
            began = time.monotonic()
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            client.request("GET", EXPERIMENTS, headers={"X-API-Key": "gradient-local"})
            assert client.getresponse().status == 200
            client.close()
            times.append(time.monotonic() - began)
    finally:
        over.set()
        for thread in flooding:
            thread.join()
        for connection in held:
            connection.close()
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert sorted(times)[len(times) // 2] < 1, times


def test_a_burst_of_connections(launch):
    """Hundreds that come while the server has no time for them are kept for it, and all are answered."""
    process = launch("--port", "0")
    port = int(process.stdout.readline().split(" at ")[1].split()[0].rpartition(":")[2])
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
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
            connection.settimeout(PATIENCE)
            assert connection.recv(9000).startswith(b"HTTP/1.1 404 ")
    client.close()


def test_how_many_there_may_be(monkeypatch):
    """No more than the process may have open files, and some are left."""
    for soft, most in ((1024, 768), (256, 192), (2**20, connection_limit.MOST), (resource.RLIM_INFINITY, 1000)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, soft=soft: (soft, soft))
        assert connection_limit.most_connections() == most


class _Waiting:
    def __init__(self, owed):
        self.owed = owed


def test_steps_forward():
    """What goes on is not late, however long it takes in all; what stays as it is, is late once its time is over."""
    clients = SlowClients()
    one, other = _Waiting(Step(Part.ANSWER, 0)), _Waiting(Step(Part.HEAD, None))
    limit = slow_clients.SECONDS[Part.ANSWER]
    found = []
    for second in range(int(3 * limit)):
        one.owed = Step(Part.ANSWER, second // 10)
        found += clients.found([one, other], second)
    assert {connection for connection, _ in found} == {other}
    assert clients.found([one], 1000) == [(one, Part.ANSWER)]
    one.owed = None
    assert clients.found([one], 2000) == []
    one.owed = Step(Part.ANSWER, 0)
    assert clients.found([one], 3000) == []
