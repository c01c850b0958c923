"""`kill -9` at any time: what was acknowledged is there afterwards, and what was requested again was done once."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from tests.server.api.conftest import EXPERIMENTS

PATIENCE = 30
# Imports all once and forks for each server, which takes a tenth of the time of a new program.
FORKING = """
import os, signal, sys
import gradient_server.__main__ as program
import gradient_server.local_server

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for options in sys.stdin:
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["gradient_server", *options.split()]
        os._exit(program.main())
    print(pid, flush=True)
"""


class Servers:
    """Servers that take up the same store, one after the other."""

    def __init__(self, store, ready_file):
        self.options = f"--port 0 --time-scale 20 --store {store} --ready-file {ready_file}"
        self.forking = subprocess.Popen(
            [sys.executable, "-c", FORKING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self):
        print(self.options, file=self.forking.stdin, flush=True)
        self.pid = int(self.forking.stdout.readline())

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def kill_while_it_writes(self):
        """Kill it right after it has written something: what belongs together may be half done then."""
        counters = Path(f"/proc/{self.pid}/io")
        before = counters.read_bytes()
        deadline = time.monotonic() + PATIENCE
        while written(counters.read_bytes()) == written(before):
            assert time.monotonic() < deadline
        self.kill()

    def end(self):
        """Kill the last one, and say what all of them have complained about."""
        self.kill()
        return self.forking.communicate(timeout=PATIENCE)[1]


class RetryingClient:
    """A client that repeats a request, with the same key, until it gets a response, from whichever server runs."""

    def __init__(self, ready_file):
        self.ready_file = ready_file
        self.responses = self.broken = 0
        self.client = httpx.Client(headers={"X-API-Key": "gradient-local"}, timeout=PATIENCE, trust_env=False)

    def close(self):
        self.client.close()

    def __call__(self, method, path, body=None, key=None, **given):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                url = json.loads(self.ready_file.read_text(encoding="utf-8"))["logs_url"] + path
                headers = {"Idempotency-Key": key} if key else {}
                response = self.client.request(method, url, json=body, headers=headers, **given)
            except (httpx.ConnectError, FileNotFoundError):
                time.sleep(0.002)
            except httpx.TransportError:
                self.broken += 1
            else:
                assert response.status_code in (200, 204), (method, path, response.text)
                self.responses += 1
                return response.json() if response.content else []
        raise AssertionError("there was no answer")


def written(counters):
    return re.search(rb"wchar: (\d+)", counters)[1]


def make(send, stop, body, name):
    """Create and start experiments; all that was seen of them, by name."""
    seen = {}
    while not stop.is_set():
        key = f"{name}-{len(seen)}"
        path = EXPERIMENTS + ("run/" if len(seen) % 3 == 0 else "")
        handle = send("POST", path, {**body, "name": key}, key=key)["handle"]
        seen[key] = send("GET", f"{EXPERIMENTS}{handle}/")["data"]
        assert seen[key]["templateHistory"]["params"]["name"] == key
        if not path.endswith("run/"):
            send("PUT", f"{EXPERIMENTS}{handle}/start/", key=f"start-{key}")
    return seen


def watch(send, body):
    """Run an experiment and see that its stamps and rows stay as they were, and that none is missing; all rows."""
    body = {**body, "name": "watched", "experimentEnv": {"GRADIENT_MOCK_SECONDS": 100, "GRADIENT_MOCK_LOG_LINES": 999}}
    handle = send("POST", EXPERIMENTS + "run/", body, key="watched")["handle"]
    rows, before = [], {}
    while not rows or rows[-1]["message"] != END_OF_LOG:
        data = send("GET", f"{EXPERIMENTS}{handle}/")["data"]
        changed = {name for name, value in before.items() if value is not None and data[name] != value}
        assert changed <= {"state", "dtModified", "url"}  # each server has its own address
        assert data["dtModified"] >= before.get("dtModified", "")
        before = data
        # Some again, so that it is seen whether they are the same.
        line = max(0, len(rows) - 5)
        found = send("GET", "/jobs/logs", params={"experimentId": handle, "line": line})
        assert found[: len(rows) - line] == rows[line:]
        rows[line:] = found
    return rows


@pytest.fixture
def servers(tmp_path, ready_file):
    servers = Servers(tmp_path / "store", ready_file)
    yield servers
    assert servers.end() == ""


@pytest.fixture
def clients(ready_file):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(RetryingClient(ready_file))) for _ in range(3)]


@pytest.fixture
def kills(pytestconfig):
    """How often the server is killed; `--examples 1000` kills it 300 times."""
    return max(25, pytestconfig.option.examples) * 3 // 10


def kill_it_often(servers, clients, kills, working):
    """Kill a server after any number of answers, or before it serves at all, and start the next one."""
    chance = random.Random(1)
    for number in range(kills):
        servers.start()
        wanted = sum(client.responses for client in clients) + chance.randrange(60)
        deadline = time.monotonic() + PATIENCE
        while number % 5 and sum(client.responses for client in clients) < wanted:
            assert time.monotonic() < deadline
            assert not any(one.done() and one.exception() for one in working)
            time.sleep(0.0005)
        if number % 5 and number % 2 and Path("/proc/self/io").exists():
            servers.kill_while_it_writes()
        else:
            time.sleep(chance.uniform(0, 0.002 if number % 5 else 0.2))
            servers.kill()
    servers.start()


def test_after_any_kill_what_was_acknowledged_is_there_once(servers, clients, single_node_body, kills):
    stop = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        making = [
            pool.submit(make, send, stop, single_node_body, name) for send, name in zip(clients, "ab", strict=False)
        ]
        watching = pool.submit(watch, clients[2], single_node_body)
        try:
            kill_it_often(servers, clients, kills, [*making, watching])
            rows = watching.result(PATIENCE)
        finally:
            stop.set()
        seen = {name: data for one in making for name, data in one.result().items()}
    assert [row["line"] for row in rows] == list(range(1, 1001))
    # Many requests were under way.
    assert sum(client.broken for client in clients) > kills // 2
    found = clients[0]("GET", EXPERIMENTS, params={"limit": -1})["data"]
    assert Counter(name_of(one) for one in found) == Counter(["watched", *seen])
    assert len({one["id"] for one in found}) == len(found)
    assert all(one["state"] != State.CREATED for one in found)
    for one in found:
        before = seen.get(name_of(one), one)
        for unchanging in ("handle", "id", "dtCreated"):
            assert one[unchanging] == before[unchanging]


def name_of(data):
    return data["templateHistory"]["params"]["name"]
