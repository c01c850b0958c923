"""Long polls: requests with `wait` are answered when their response changes, and cost nothing until then."""

import asyncio
import contextlib
import json
import select
import signal
import socket
import time
from datetime import datetime

import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State
from starlette.requests import ClientDisconnect

from gradient_server.api.long_poll import LongPolls
from gradient_server.api.responses import ApiResponse, Pending
from gradient_server.clock import Clock
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import RawClient

pytestmark = pytest.mark.usefixtures("sound")
SOON = 2
"""Seconds that a busy machine may take for an immediate response."""


@pytest.fixture
def make(ask, single_node_body):
    """Create an experiment, or run it; its handle."""

    def make(run="run/", **simulation):
        environment = {f"GRADIENT_MOCK_{name.upper()}": value for name, value in simulation.items()}
        return ask("POST", EXPERIMENTS + run, {**single_node_body, "experimentEnv": environment}).body["handle"]

    return make


@pytest.fixture
def hold(ask, connect_raw):
    """Send a request and do not read its response; when this returns, the server holds it."""
    with contextlib.ExitStack() as stack:

        def hold(path):
            client = stack.enter_context(contextlib.closing(connect_raw()))
            client("GET", EXPERIMENTS + "?limit=0")
            client.connection.request("GET", path, headers={"X-API-Key": client.key})
            # Open connections are read in order: after one response the request above has been read, after two it is
            # held.
            for _ in range(2):
                ask("GET", EXPERIMENTS + "?limit=0")
            return client

        yield hold


def state_of(handle, wait):
    return f"{EXPERIMENTS}{handle}/state/?wait={wait}"


def logs_of(handle, wait, line=0):
    return f"/jobs/logs?experimentId={handle}&line={line}&wait={wait}"


def is_open(client):
    return not select.select([client.connection.sock], [], [], 0)[0]


def lines(response):
    assert response.status == 200
    return [row["line"] for row in response.body]


def seconds_for(act):
    began = time.monotonic()
    found = act()
    return found, time.monotonic() - began


@pytest.mark.parametrize("wait", ["", "?wait=0", "?wait=0.0"])
def test_a_request_without_wait_is_answered_at_once(ask, still, make, wait):
    handle = make()
    response, seconds = seconds_for(lambda: ask("GET", f"{EXPERIMENTS}{handle}/state/{wait}"))
    assert response.body["data"]["state"] == State.PENDING
    assert seconds < SOON
    response, seconds = seconds_for(lambda: ask("GET", f"/jobs/logs?experimentId={handle}{wait.replace('?', '&')}"))
    assert response.status == 204
    assert seconds < SOON


def test_a_final_response_is_sent_at_once(ask, still, make):
    ended = make(log_lines=3)
    still.advance(20)
    assert seconds_for(lambda: ask("GET", state_of(ended, 60)))[1] < SOON
    for line, status in [(0, 200), (3, 200), (4, 204), (10**9, 204)]:
        response, seconds = seconds_for(lambda line=line: ask("GET", logs_of(ended, 60, line)))
        assert (response.status, seconds < SOON) == (status, True)
    for path in (state_of("nobody", 60), logs_of("nobody", 60)):
        response, seconds = seconds_for(lambda path=path: ask("GET", path))
        assert (response.status, seconds < SOON) == (404, True)


@pytest.mark.parametrize("outcome", ["error", "canceled"])
def test_the_log_of_an_experiment_that_never_ran_is_final(ask, still, make, outcome):
    handle = make(**({"outcome": outcome} if outcome == "error" else {}))
    if outcome == "canceled":
        ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    still.advance(20)
    response, seconds = seconds_for(lambda: ask("GET", logs_of(handle, 60)))
    assert (response.status, seconds < SOON) == (204, True)


def test_after_the_wait_the_response_is_the_current_one(ask, still, make):
    handle = make()
    for path, status in [(state_of(handle, 0.3), 200), (logs_of(handle, 0.3), 204)]:
        for scale in (0, 1e-6):
            still.clock.scale = scale
            response, seconds = seconds_for(lambda path=path: ask("GET", path))
            assert response.status == status
            assert 0.3 <= seconds < 0.3 + SOON


def test_a_state_is_sent_when_simulated_time_reaches_it(still, make, hold):
    handle = make()
    for seconds, state in [(0.5, State.PROVISIONING), (10, State.RUNNING), (10, State.STOPPED)]:
        client = hold(state_of(handle, 60))
        assert is_open(client)
        still.advance(seconds)
        assert client.read().body["data"]["state"] == state


def test_a_state_is_sent_when_another_client_changes_it(ask, still, make, hold):
    handle = make(run="")
    client = hold(state_of(handle, 60))
    assert is_open(client)
    ask("PUT", f"{EXPERIMENTS}{handle}/start/")
    assert client.read().body["data"]["state"] == State.PENDING
    still.advance(10)
    client = hold(state_of(handle, 60))
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert client.read().body["data"]["state"] == State.NETWORK_TEARING_DOWN


def test_a_state_that_the_client_does_not_know_is_sent_at_once(ask, still, make, hold):
    handle = make()
    response, seconds = seconds_for(lambda: ask("GET", state_of(handle, 60) + f"&known={State.CREATED}"))
    assert response.body["data"]["state"] == State.PENDING
    assert seconds < SOON
    client = hold(state_of(handle, 60) + f"&known={State.PENDING}")
    assert is_open(client)
    still.advance(10)
    assert client.read().body["data"]["state"] != State.PENDING


@pytest.mark.parametrize("path", [state_of, logs_of])
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "reset"])
def test_a_deletion_ends_the_wait_with_not_found(ask, still, make, hold, path, deleted):
    handle = make()
    client = hold(path(handle, 60))
    assert is_open(client)
    if deleted:
        ask("DELETE", f"{EXPERIMENTS}{handle}/")
    else:
        still.reset()
    assert client.read().status == 404


def test_rows_are_sent_when_they_appear(still, make, hold):
    handle = make(log_lines=3)
    for line, seconds, found in [(0, 7, [1]), (1, 10, [2, 3]), (3, 4, [4])]:
        client = hold(logs_of(handle, 60, line))
        assert is_open(client)
        still.advance(seconds)
        response = client.read()
        assert lines(response) == found
    assert response.body[-1]["message"] == END_OF_LOG


def test_the_end_of_a_run_ends_the_wait_for_rows(ask, still, make, hold):
    for act in (lambda handle: still.advance(20), lambda handle: ask("PUT", f"{EXPERIMENTS}{handle}/stop/")):
        handle = make(log_lines=3)
        clients = [hold(logs_of(handle, 60, line)) for line in (100, 10**17)]
        act(handle)
        assert [client.read().status for client in clients] == [204, 204]


def test_events_without_a_change_end_no_wait(ask, still, make, hold):
    handle, other = make(log_lines=3, seconds=1000), make(run="")
    clients = [hold(state_of(handle, 60)), hold(logs_of(handle, 60))]
    still.advance(0)
    still.advance(1)
    ask("PUT", f"{EXPERIMENTS}{other}/start/")
    ask("PUT", f"{EXPERIMENTS}{handle}/start/")
    ask("DELETE", f"{EXPERIMENTS}{other}/")
    ask("GET", f"{EXPERIMENTS}{handle}/")
    assert all(is_open(client) for client in clients)
    still.reset()
    assert [client.read().status for client in clients] == [404, 404]


def test_a_change_of_the_time_scale_reschedules_the_wait(gradient_server, still, make, hold):
    handle = make(seconds=2000)
    client = hold(state_of(handle, 60))
    still.clock.scale = 1e-3
    assert is_open(client)
    response, seconds = seconds_for(lambda: setattr(gradient_server.clock, "scale", 1000) or client.read())
    assert response.body["data"]["state"] == State.PROVISIONING
    assert seconds < SOON


def test_a_row_is_sent_as_soon_as_it_appears(gradient_server, ask, make):
    gradient_server.clock.scale = 10
    handle = make(log_lines=20, seconds=20)
    line, requests, late = 0, 0, []
    while line < 21:
        response = ask("GET", logs_of(handle, 60, line))
        came = gradient_server.clock.date(gradient_server.clock.now())
        requests += 1
        late.append((came - datetime.fromisoformat(response.body[-1]["timestamp"])).total_seconds() / 10)
        line = response.body[-1]["line"]
    assert requests >= 10
    assert sorted(late)[len(late) // 2] < 0.05
    assert max(late) < SOON


def test_one_event_answers_all_who_wait_for_it(still, make, hold, ask):
    handle = make(log_lines=3)
    clients = [hold(logs_of(handle, 60)) for _ in range(100)]
    clients += [hold(state_of(handle, 60)) for _ in range(100)]
    still.advance(7)
    assert [lines(client.read()) for client in clients[:100]] == [[1]] * 100
    assert {client.read().body["data"]["state"] for client in clients[100:]} == {State.RUNNING}


def test_waiting_takes_no_cpu_time(gradient_server, make, hold):
    gradient_server.clock.scale = 1
    handle = make(seconds=100_000, log_lines=3)
    gradient_server.advance(50_000)
    clients = [hold(path) for path in (state_of(handle, 60), logs_of(handle, 60, line=1)) for _ in range(50)]
    used = time.process_time()
    time.sleep(1)  # not for luck: this is the time that is measured
    assert time.process_time() - used < 0.3
    assert all(is_open(client) for client in clients)


def test_a_client_that_disconnects_does_not_disturb_others(still, make, hold, ask):
    handle = make(log_lines=3)
    leaving, staying = [hold(logs_of(handle, 60)) for _ in range(20)], hold(logs_of(handle, 60))
    for number, client in enumerate(leaving):
        if number % 2:  # the connection breaks
            client.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    ask("GET", EXPERIMENTS)
    assert is_open(staying)
    still.advance(7)
    assert lines(staying.read()) == [1]


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 300_000], ids=["none", "small", "large"])
def test_the_body_of_a_held_request_is_discarded(still, make, connect_raw, ask, body):
    handle = make(log_lines=3)
    with contextlib.closing(connect_raw()) as client:
        client.connection.request("GET", logs_of(handle, 60), body, {"X-API-Key": client.key})
        still.advance(7)
        assert lines(client.read()) == [1]
        assert client("GET", EXPERIMENTS).status == 200
        assert client.connection.times_opened == 1


def test_a_signal_answers_held_requests_and_stops_the_server(launch, ready_file, single_node_body):
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    process.stdout.readline()
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    with contextlib.ExitStack() as stack:
        ask, *clients = (
            stack.enter_context(contextlib.closing(RawClient(ready["logs_url"], ready["api_key"]))) for _ in range(21)
        )
        handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
        for number, client in enumerate(clients):
            client("GET", EXPERIMENTS + "?limit=0")
            path = (logs_of, state_of)[number % 2](handle, 60)
            client.connection.request("GET", path, headers={"X-API-Key": client.key})
        for _ in range(2):
            ask("GET", EXPERIMENTS + "?limit=0")
        process.send_signal(signal.SIGTERM)
        (_, errors), seconds = seconds_for(lambda: process.communicate(timeout=20))
        assert (process.returncode, errors) == (0, "")
        assert seconds < SOON
        assert [client.read().status for client in clients] == [204, 200] * 10


class ChangingResponse:
    """Returns a response that changes at a simulated timestamp, and counts its calls."""

    def __init__(self, clock, timestamp):
        self.clock, self.timestamp, self.times = clock, timestamp, 0

    async def __call__(self):
        self.times += 1
        return (
            ApiResponse(200)
            if self.clock.now() >= self.timestamp
            else ApiResponse(204, pending=Pending("handle", self.timestamp))
        )


async def never():
    await asyncio.Event().wait()


def test_a_held_request_looks_at_the_start_and_at_the_announced_time():
    clock = Clock(scale=10)
    respond = ChangingResponse(clock, 3)
    answer = asyncio.run(LongPolls(clock).hold(respond, 60, never))
    assert answer.status == 200
    assert 0 <= clock.now() - 3 < 10 * SOON
    assert respond.times == 3


def test_a_held_request_ends_when_its_client_disconnects():
    messages = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, False)]
    messages.append({"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    clock = Clock()
    respond = ChangingResponse(clock, 1000)
    with pytest.raises(ClientDisconnect):
        asyncio.run(LongPolls(clock).hold(respond, 60, receive))
    clock.advance(2000)
    assert respond.times == 2


def test_an_event_before_the_sleep_is_not_missed():
    clock = Clock(scale=1e-9)
    respond = ChangingResponse(clock, 1000)

    async def look():
        answer = await respond()
        clock.advance(1000)
        return answer

    _, seconds = seconds_for(lambda: asyncio.run(LongPolls(clock).hold(look, 10, never)))
    assert seconds < SOON
