"""How the server stops: on SIGINT and SIGTERM, whatever is going on, quietly and with exit code 0."""

import contextlib
import json
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest

PATIENCE = 20
SIGNALS = [signal.SIGINT, signal.SIGTERM]
SIGNAL_AT_AN_IMPORT = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, *rest):
        if name == "{module}":
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Finder())
runpy.run_module("gradient_server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def server(launch, ready_file):
    """A server in a process of its own, and where it is."""
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    deadline = time.monotonic() + PATIENCE
    while not ready_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    parts = urlsplit(json.loads(ready_file.read_text(encoding="utf-8"))["logs_url"])
    return process, (parts.hostname, parts.port)


def assert_stops(process, *, within=PATIENCE):
    began = time.monotonic()
    _, errors = process.communicate(timeout=PATIENCE)
    assert errors == ""
    assert process.returncode == 0
    assert time.monotonic() - began < within


def request(method, path, *headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "X-API-Key: gradient-local", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


LIST = request("GET", "/experiments/v1/experiments/?limit=1")
# The server says 100 when it waits for the body: then the request is certainly under way.
POST = ("POST", "/experiments/v1/experiments/", "Content-Type: application/json", "Expect: 100-continue")
HALF_A_BODY = request(*POST, "Content-Length: 1000", body=b"{")
SITUATIONS = {
    "nothing": b"",
    "half a request line": b"GET /expe",
    "half of the headers": LIST[:-4],
    "half a body": HALF_A_BODY,
    "half a body after a whole request": LIST + HALF_A_BODY,
    "a body in no hurry": request(*POST, "Transfer-Encoding: chunked", body=b"1\r\n{\r\n"),
    "a kept connection": LIST,
    "what is not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
ANSWERED = {
    "half a body": b"100",
    "a body in no hurry": b"100",
    "half a body after a whole request": b"200",
    "a kept connection": b"200",
    "what is not HTTP": b"400",
}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it(server, ready_file, number):
    """The exit code is 0, there is nothing on stderr, the ready file is gone and nobody listens any more."""
    process, address = server
    process.send_signal(number)
    assert_stops(process)
    assert not ready_file.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@pytest.mark.parametrize("number", SIGNALS)
def test_open_connections_do_not_hold_it_up(server, ready_file, number):
    """However far a request has come, its connection is closed in the end, without a word."""
    process, address = server
    with contextlib.ExitStack() as stack:
        connections = {}
        for situation, sent in SITUATIONS.items():
            connections[situation] = stack.enter_context(socket.create_connection(address, timeout=PATIENCE))
            connections[situation].sendall(sent)
        for situation, status in ANSWERED.items():
            assert connections[situation].recv(9000).startswith(b"HTTP/1.1 " + status), situation
        process.send_signal(number)
        assert_stops(process, within=5)
        for situation, connection in connections.items():
            with contextlib.suppress(ConnectionResetError):
                while received := connection.recv(9000):
                    assert b" 500 " not in received, situation
    assert not ready_file.exists()


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal(server, ready_file, first, second):
    """Changes nothing, or makes it faster: it stops as quietly, while a request is open too."""
    process, address = server
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(HALF_A_BODY)
        assert connection.recv(9000).startswith(b"HTTP/1.1 100 ")
        process.send_signal(first)
        with contextlib.suppress(ConnectionError):
            while True:  # as soon as nobody can connect any more, it is stopping
                socket.create_connection(address, timeout=PATIENCE).close()
        process.send_signal(second)
        process.send_signal(second)
        assert_stops(process, within=5)
    assert not ready_file.exists()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_right_after_the_start(launch, ready_file, number):
    """As soon as it has said something, a signal finds it ready to stop."""
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    process.send_signal(number)
    assert_stops(process)
    assert not ready_file.exists()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["gradient_server.local_server", "h11"])
def test_a_signal_before_it_serves(launch, ready_file, number, module):
    """While it is still importing, too."""
    program = ("-c", SIGNAL_AT_AN_IMPORT.format(module=module, signal=number.name))
    process = launch("--port", "0", "--ready-file", str(ready_file), program=program)
    assert_stops(process)
    assert not ready_file.exists()
