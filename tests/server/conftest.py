"""Fixtures of the server tests: the contract, raw requests, and servers in processes of their own."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gradient_server import LocalServer

PATIENCE = 20
"""Seconds after which a test fails that waits for something."""


@pytest.fixture(scope="session")
def contract() -> dict:
    """The contract in the package."""
    return json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class RawResponse:
    """A response; its body is parsed if it is JSON."""

    status: int
    body: object
    headers: http.client.HTTPMessage

    def assert_error(self, status: int, *names: str) -> None:
        """Assert that this is an error body of the services that names exactly these fields."""
        assert self.status == status, self
        assert set(self.body) == {"error", "details"}, self
        assert isinstance(self.body["error"], str)
        assert "Traceback" not in json.dumps(self.body)
        if names:
            assert set(self.body["details"]) == set(names), self
            assert all(
                texts and all(isinstance(text, str) for text in texts) for texts in self.body["details"].values()
            )


class _Connection(http.client.HTTPConnection):
    """A connection that counts how often it was opened."""

    times_opened = 0

    def connect(self) -> None:
        self.times_opened += 1
        super().connect()


class RawClient:
    """Sends requests as they are, on one connection that it keeps open."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self.connection = _Connection(parts.hostname, parts.port, timeout=PATIENCE)
        self.key = key

    def close(self) -> None:
        self.connection.close()

    def __call__(self, method: str, path: str, body: object = None, headers: dict | None = None) -> RawResponse:
        """Send a request with the right key; a body that is not bytes is sent as JSON."""
        given = {"X-API-Key": self.key, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            given = {"Content-Type": "application/json", **given}
        self.connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
        return self.read()

    def read(self) -> RawResponse:
        """Read one response."""
        response = self.connection.getresponse()
        raw = response.read()
        kind = response.headers.get_content_type()
        body = json.loads(raw) if raw and kind == "application/json" else raw.decode()
        return RawResponse(response.status, body, response.headers)


def raw_request(method, path, *headers, body=b"", host="localhost", key="gradient-local"):
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"X-API-Key: {key}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def read_response(reader):
    """Read a response: status, headers, body."""
    status = int(reader.readline().split()[1])
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if status == 100:
        return status, headers, b""
    length = headers.get("content-length")
    return status, headers, reader.read() if length is None else reader.read(int(length))


def responses_to(connection, *requests):
    """Send raw requests on one connection; their responses."""
    connection.sendall(b"".join(requests))
    with connection.makefile("rb") as reader:
        return [read_response(reader) for _ in requests]


def statuses_of(server, *requests):
    """Send raw requests to a server on one connection; the statuses of their responses."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        return [status for status, _, _ in responses_to(connection, *requests)]


@pytest.fixture
def connect(gradient_server):
    """Open connections to the server; all are closed after the test."""
    parts = urlsplit(gradient_server.url)
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE))


@pytest.fixture
def connect_raw(gradient_server) -> Callable[[], RawClient]:
    """Make clients with connections of their own, which the test closes."""
    return lambda: RawClient(gradient_server.url, gradient_server.api_key)


@pytest.fixture
def ask(connect_raw) -> Iterator[RawClient]:
    with contextlib.closing(connect_raw()) as client:
        yield client


@pytest.fixture
def frozen_server(gradient_server) -> LocalServer:
    """The server, whose clock only the test moves."""
    gradient_server.clock.scale = 0
    return gradient_server


@pytest.fixture
def server_stays_healthy(ask, caplog) -> Iterator[None]:
    """Check after a test that the server works and has logged nothing."""
    yield
    ask.close()
    assert ask("GET", "/experiments/v1/experiments/").status == 200
    assert caplog.get_records("call") + caplog.get_records("teardown") == []


@pytest.fixture
def single_node_body(contract) -> dict:
    """The request body of the documented single node experiment."""
    return json.loads(json.dumps(contract["components"]["examples"]["SingleNodeRequest"]["value"]))


@pytest.fixture
def launch(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start `python -m gradient_server` with options; processes that still run after the test are killed."""
    launched: list[subprocess.Popen] = []

    def start(*options: str, program: tuple[str, ...] = ("-m", "gradient_server")) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *program, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "100"},
        )
        launched.append(process)
        watchdog = threading.Timer(2 * PATIENCE, process.kill)
        watchdog.daemon = True
        watchdog.start()
        return process

    yield start
    for process in launched:
        process.kill()
        process.communicate()


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Wait for a file; a process that ends before is a failure."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the file has not appeared"
        time.sleep(0.001)


@pytest.fixture
def launch_ready(launch, ready_file) -> Callable[..., tuple[subprocess.Popen, str]]:
    """Start `python -m gradient_server` on a free port and wait until it serves; the process and its address."""

    def start(*options: str, **program) -> tuple[subprocess.Popen, str]:
        process = launch("--port", "0", "--ready-file", str(ready_file), *options, **program)
        wait_for(ready_file, process)
        return process, json.loads(ready_file.read_text(encoding="utf-8"))["logs_url"]

    return start


@pytest.fixture
def ready_file(tmp_path) -> Path:
    return tmp_path / "ready.json"
