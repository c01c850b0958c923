"""Long polls: requests with `wait` are answered when their response changes, and cost nothing until then."""

import asyncio
import contextlib
import select
import socket
import time

import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State
from starlette.requests import ClientDisconnect

from gradient_server import LocalServer
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.responses import ApiResponse, Pending
from gradient_server.clock import Clock
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import RawClient

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
# Clients give up before a wait of 60 seconds is over, so that a response shows that the wait was cut short.


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
            send_held(client, ask, path)
            assert is_open(client)
            return client

        yield hold


def send_held(client, ask, path):
    client("GET", EXPERIMENTS + "?limit=0")
    client.connection.request("GET", path, headers={"X-API-Key": client.key})
    # Open connections are read in order: after one response the request above has been read, after two it is held.
    for _ in range(2):
        ask("GET", EXPERIMENTS + "?limit=0")


def state_of(handle, wait=60):
    return f"{EXPERIMENTS}{handle}/state/?wait={wait}"


def logs_of(handle, wait=60, line=0):
    return f"/jobs/logs?experimentId={handle}&line={line}&wait={wait}"


def is_open(client):
    return not select.select([client.connection.sock], [], [], 0)[0]


def lines(response):
    assert response.status == 200
    return [row["line"] for row in response.body]


def test_a_final_response_is_sent_at_once(ask, frozen_server, make):
    ended, failed, canceled = make(log_lines=3), make(outcome="error"), make()
    ask("PUT", f"{EXPERIMENTS}{canceled}/stop/")
    frozen_server.advance(20)
    for path, status in [
        (state_of(ended), 200),
        *((logs_of(ended, line=line), status) for line, status in [(0, 200), (3, 200), (4, 204), (10**9, 204)]),
        (logs_of(failed, line=2), 204),  # after the reason
        (logs_of(canceled), 204),  # it never ran
        *((path, 404) for path in (state_of("nobody"), logs_of("nobody"))),
    ]:
        assert ask("GET", path).status == status, path


@pytest.mark.parametrize("wait", [0, 0.3])
def test_after_the_wait_the_response_is_the_current_one(ask, frozen_server, make, wait):
    handle = make()
    for path, status in [(state_of(handle, wait), 200), (logs_of(handle, wait), 204)]:
        for scale in (0, 1e-6):
            frozen_server.clock.scale = scale
            began = time.monotonic()
            assert ask("GET", path).status == status
            assert wait <= time.monotonic() - began


@pytest.mark.parametrize(
    ("wait", "status"), [("60", 404), ("60.5", 400), ("61", 400), ("3000", 400), ("-0.1", 400), ("x", 400), ("", 400)]
)
def test_a_wait_has_a_minute_at_most(ask, wait, status):
    for path in (state_of("nobody", wait), logs_of("nobody", wait)):
        ask("GET", path).assert_error(status, *(["wait"] if status == 400 else []))


def test_a_state_is_sent_when_simulated_time_reaches_it(frozen_server, make, hold):
    handle = make()
    for seconds, state in [(0.5, State.PROVISIONING), (10, State.RUNNING), (10, State.STOPPED)]:
        client = hold(state_of(handle))
        frozen_server.advance(seconds)
        assert client.read().body["data"]["state"] == state


def test_a_state_is_sent_when_another_client_changes_it(ask, frozen_server, make, hold):
    handle = make(run="")
    client = hold(state_of(handle))
    ask("PUT", f"{EXPERIMENTS}{handle}/start/")
    assert client.read().body["data"]["state"] == State.PENDING
    frozen_server.advance(10)
    client = hold(state_of(handle))
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert client.read().body["data"]["state"] == State.NETWORK_TEARING_DOWN


def test_a_state_that_the_client_does_not_know_is_sent_at_once(ask, frozen_server, make, hold):
    handle = make()
    assert ask("GET", state_of(handle) + f"&known={State.CREATED}").body["data"]["state"] == State.PENDING
    client = hold(state_of(handle) + f"&known={State.PENDING}")
    frozen_server.advance(10)
    assert client.read().body["data"]["state"] != State.PENDING


def test_rows_are_sent_when_they_appear(frozen_server, make, hold):
    handle = make(log_lines=3)
    for line, seconds, found in [(0, 7, [1]), (1, 10, [2, 3]), (3, 4, [4])]:
        client = hold(logs_of(handle, line=line))
        frozen_server.advance(seconds)
        response = client.read()
        assert lines(response) == found
    assert response.body[-1]["message"] == END_OF_LOG


@pytest.mark.parametrize("ending", ["by itself", "by a stop"])
def test_the_end_of_a_run_ends_the_wait_for_rows(ask, frozen_server, make, hold, ending):
    handle = make(log_lines=3)
    clients = [hold(logs_of(handle, line=line)) for line in (100, 10**17)]
    if ending == "by itself":
        frozen_server.advance(20)
    else:
        ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert [client.read().status for client in clients] == [204, 204]


def test_only_a_change_of_its_own_experiment_ends_a_wait(ask, frozen_server, make, hold):
    handle, other = make(log_lines=3, seconds=1000), make(run="")
    clients = [hold(state_of(handle)), hold(logs_of(handle))]
    frozen_server.advance(0)
    frozen_server.advance(1)
    for method, path in [("PUT", f"{other}/start/"), ("PUT", f"{handle}/start/"), ("DELETE", f"{other}/")]:
        ask(method, EXPERIMENTS + path)
    assert all(is_open(client) for client in clients)
    ask("DELETE", f"{EXPERIMENTS}{handle}/")
    assert [client.read().status for client in clients] == [404, 404]


def test_a_reset_ends_the_wait_with_not_found(frozen_server, make, hold):
    handle = make()
    clients = [hold(state_of(handle)), hold(logs_of(handle))]
    frozen_server.reset()
    assert [client.read().status for client in clients] == [404, 404]


def test_a_change_of_the_time_scale_reschedules_the_wait(frozen_server, make, hold):
    client = hold(state_of(make(seconds=2000)))
    frozen_server.clock.scale = 1e-3
    assert is_open(client)
    frozen_server.clock.scale = 1000
    assert client.read().body["data"]["state"] == State.PROVISIONING


def test_one_event_answers_all_who_wait_for_it_and_those_who_left_disturb_nobody(ask, frozen_server, make, hold):
    handle = make(log_lines=3)
    leaving, polling, watching = ([hold(path(handle)) for _ in range(20)] for path in (logs_of, logs_of, state_of))
    for number, client in enumerate(leaving):
        if number % 2:  # the connection breaks
            client.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    ask("GET", EXPERIMENTS)
    frozen_server.advance(7)
    assert [lines(client.read()) for client in polling] == [[1]] * 20
    assert {client.read().body["data"]["state"] for client in watching} == {State.RUNNING}


def test_the_body_of_a_held_request_is_discarded(frozen_server, make, connect_raw):
    handle = make(log_lines=3)
    with contextlib.closing(connect_raw()) as client:
        client.connection.request("GET", logs_of(handle), b"x" * 300_000, {"X-API-Key": client.key})
        frozen_server.advance(7)
        assert lines(client.read()) == [1]
        assert client("GET", EXPERIMENTS).status == 200
        assert client.connection.times_opened == 1


def test_a_server_that_stops_answers_held_requests(single_node_body):
    with LocalServer(time_scale=1e-9) as server, contextlib.ExitStack() as stack:
        ask, *clients = (
            stack.enter_context(contextlib.closing(RawClient(server.url, server.api_key))) for _ in range(11)
        )
        handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
        for number, client in enumerate(clients):
            send_held(client, ask, (logs_of, state_of)[number % 2](handle))
        server.stop()
        assert [client.read().status for client in clients] == [204, 200] * 5


class ChangingResponse:
    """Returns a response that changes at a simulated timestamp, and counts its calls."""

    def __init__(self, clock, timestamp):
        self.clock, self.timestamp, self.times = clock, timestamp, 0

    async def __call__(self):
        self.times += 1
        is_changed = self.clock.now() >= self.timestamp
        return ApiResponse(200) if is_changed else ApiResponse(204, pending=Pending("handle", self.timestamp))


async def never():
    await asyncio.Event().wait()


def test_a_response_is_requested_at_the_start_and_at_the_announced_time_and_not_in_between():
    clock = Clock(scale=10)
    respond = ChangingResponse(clock, 3)
    assert asyncio.run(LongPolls(clock).hold(respond, 60, never)).status == 200
    assert clock.now() >= 3
    assert respond.times == 3


def test_an_event_of_another_experiment_costs_nothing():
    clock = Clock(scale=1e-9)
    polls, respond, times = LongPolls(clock), ChangingResponse(clock, 1000), []

    async def receive():
        for handle in ("handles", "", "handle"):
            polls.wake(handle)
            for _ in range(5):
                await asyncio.sleep(0)
            times.append(respond.times)
        clock.advance(1000)
        await never()

    asyncio.run(polls.hold(respond, 60, receive))
    assert times == [2, 2, 3]


def test_a_held_request_ends_when_its_client_disconnects():
    messages = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, False)]
    messages.append({"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    respond = ChangingResponse(Clock(), 1000)
    with pytest.raises(ClientDisconnect):
        asyncio.run(LongPolls(respond.clock).hold(respond, 60, receive))
    assert respond.times == 2


@pytest.mark.parametrize("ending", ["its wait is over", "its client disconnects", "its response changes"])
def test_nothing_is_left_of_a_request_that_is_not_held_any_more(ending):
    """No task; and it is not woken, as even its loop may be closed."""
    clock = Clock(scale=1e-9)
    polls, respond = LongPolls(clock), ChangingResponse(clock, 1000)

    async def receive():
        await asyncio.sleep(0)
        if ending == "its response changes":
            clock.advance(1000)
            await never()
        return {"type": "http.disconnect"} if ending == "its client disconnects" else await never()

    async def scene():
        with contextlib.suppress(ClientDisconnect):
            await polls.hold(respond, 0 if ending == "its wait is over" else 60, receive)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())
    polls.wake("handle")
    polls.end()


def test_an_event_before_the_sleep_is_not_missed():
    clock = Clock(scale=1e-9)
    respond = ChangingResponse(clock, 1000)

    async def respond_and_advance():
        response = await respond()
        clock.advance(1000)
        return response

    began = time.monotonic()
    asyncio.run(LongPolls(clock).hold(respond_and_advance, 10, never))
    assert time.monotonic() - began < 5
