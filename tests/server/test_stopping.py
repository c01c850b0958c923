"""SIGINT and SIGTERM stop the server with exit code 0 and without output, whatever its clients are doing."""

import contextlib
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest

from tests.server.conftest import raw_request

TIMEOUT = 20
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
def server(launch_ready):
    """A server in a process of its own, and its address."""
    process, url = launch_ready()
    parts = urlsplit(url)
    return process, (parts.hostname, parts.port)


def assert_stops(process, ready_file, *, within=TIMEOUT):
    began = time.monotonic()
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - began < within
    assert not ready_file.exists()


LIST = raw_request("GET", "/experiments/v1/experiments/?limit=1")
# The server sends 100 when it waits for the body: the request is in progress then.
POST = ("POST", "/experiments/v1/experiments/", "Content-Type: application/json", "Expect: 100-continue")
HALF_A_BODY = raw_request(*POST, "Content-Length: 1000", body=b"{")
SITUATIONS = {
    "nothing": (b"", None),
    "half a request line": (b"GET /expe", None),
    "half of the headers": (LIST[:-4], None),
    "half a body": (HALF_A_BODY, b"100"),
    "half a body after a whole request": (LIST + HALF_A_BODY, b"200"),
    "a slow body": (raw_request(*POST, "Transfer-Encoding: chunked", body=b"1\r\n{\r\n"), b"100"),
    "a kept connection": (LIST, b"200"),
    "malformed": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it_and_closes_all_connections(server, ready_file, number):
    process, address = server
    with contextlib.ExitStack() as stack:
        connections = {}
        for situation, (sent, _) in SITUATIONS.items():
            connections[situation] = stack.enter_context(socket.create_connection(address, timeout=TIMEOUT))
            connections[situation].sendall(sent)
        for situation, (_, status) in SITUATIONS.items():
            assert not status or connections[situation].recv(9000).startswith(b"HTTP/1.1 " + status), situation
        process.send_signal(number)
        assert_stops(process, ready_file, within=5)
        for situation, connection in connections.items():
            with contextlib.suppress(ConnectionResetError):
                while received := connection.recv(9000):
                    assert b" 500 " not in received, situation
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@pytest.mark.parametrize(("first", "second"), [SIGNALS, SIGNALS[::-1], SIGNALS[:1] * 2])
def test_a_second_signal_changes_nothing(server, ready_file, first, second):
    process, address = server
    with socket.create_connection(address, timeout=TIMEOUT) as connection:
        connection.sendall(HALF_A_BODY)
        assert connection.recv(9000).startswith(b"HTTP/1.1 100 ")
        process.send_signal(first)
        with contextlib.suppress(ConnectionError):
            while True:  # until it does not listen any more
                socket.create_connection(address, timeout=TIMEOUT).close()
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None:  # until the very end
            assert time.monotonic() < deadline
            process.send_signal(second)
        assert_stops(process, ready_file)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_right_after_the_first_line_stops_it(launch, ready_file, number):
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    process.send_signal(number)
    assert_stops(process, ready_file)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["gradient_server.local_server", "h11"])
def test_a_signal_during_the_imports_stops_it(launch, ready_file, number, module):
    program = ("-c", SIGNAL_AT_AN_IMPORT.format(module=module, signal=number.name))
    assert_stops(launch("--port", "0", "--ready-file", str(ready_file), program=program), ready_file)
