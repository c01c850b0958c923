"""A server that runs beside a program: `LocalServer`, as one uses it from Python."""

import contextlib
import socket
import threading
import time

import pytest

from gradient import ExperimentsClient
from gradient_server import LocalServer

SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "K80", "command": "true"}


def client_of(server):
    return ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url)


def refuses(server):
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
        return False
    return True


def test_several_at_once():
    """Each has an address, a key and experiments of its own."""
    with LocalServer(api_key="one") as one, LocalServer(api_key="two") as two:
        assert one.url != two.url
        with client_of(one) as first, client_of(two) as second:
            first.create_single_node(**SMALL)
            assert (len(first.list()), len(second.list())) == (1, 0)


def test_who_connects_before_it_runs_is_served_when_it_does():
    """It listens from the moment on in which it is made."""
    server, found = LocalServer(), []
    with client_of(server) as client:
        asking = threading.Thread(target=lambda: found.append(client.list()))
        asking.start()
        with server:
            asking.join(10)
    assert found == [[]]


def test_it_stops_when_the_block_is_left():
    """Also by an error; then nobody listens any more."""
    server = LocalServer()
    with contextlib.suppress(ZeroDivisionError), server:
        assert not refuses(server)
        raise ZeroDivisionError
    assert refuses(server)


def test_stopping_is_always_possible():
    """Before it runs, again after it has stopped, and with a request that never ends in about a second."""
    LocalServer().stop()
    server = LocalServer().start()
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /experiments/v1/experiments/ HTTP/1.1\r\nHost: localhost\r\nX-API-Key: gradient-local\r\n"
            b"Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
    server.stop()


def test_what_cannot_be():
    """A port that is taken, a key that nobody could send, time that does not go forward."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        LocalServer(port=taken.getsockname()[1])
    for key in ("", " ", "é", "two\nlines"):
        with pytest.raises(ValueError, match="key"):
            LocalServer(api_key=key)
    for scale in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time scale"):
            LocalServer(time_scale=scale)
