"""Long polls: requests with `wait` are answered as soon as there is something to say, and cost nothing until then."""

import asyncio
import contextlib
import http.client
import json
import select
import signal
import socket
import time
from datetime import datetime
from urllib.parse import urlsplit

import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State
from starlette.requests import ClientDisconnect

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.responses import ApiResponse, Pending
from gradient_server.clock import Clock

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "K80", "command": "true"}
SOON = 2
"""Seconds that a busy machine may take for what is done at once."""


@pytest.fixture
def make(ask, single_node_body):
    """Create an experiment, or run it; its id."""

    def make(run="run/", **wishes):
        environment = {f"GRADIENT_MOCK_{name.upper()}": value for name, value in wishes.items()}
        return ask("POST", EXPERIMENTS + run, {**single_node_body, "experimentEnv": environment}).body["handle"]

    return make


@pytest.fixture
def hold(ask, connect_raw):
    """Send a request and do not read its answer; when this returns, the server has looked at it."""
    with contextlib.ExitStack() as stack:

        def hold(path):
            client = stack.enter_context(contextlib.closing(connect_raw()))
            client("GET", EXPERIMENTS + "?limit=0")
            client.connection.request("GET", path, headers={"X-API-Key": client.key})
            # On connections that are open, who asks later is read later: after one answer the request above has been
            # read, and after two it has been looked at.
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


def lines(answered):
    assert answered.status == 200
    return [row["line"] for row in answered.body]


def seconds_for(act):
    began = time.monotonic()
    found = act()
    return found, time.monotonic() - began


@pytest.mark.parametrize("wait", ["", "?wait=0", "?wait=0.0"])
def test_without_a_wait_there_is_none(ask, still, make, wait):
    """What has nothing new to say says so at once, as servers did that knew no `wait`."""
    handle = make()
    answered, seconds = seconds_for(lambda: ask("GET", f"{EXPERIMENTS}{handle}/state/{wait}"))
    assert answered.body["data"]["state"] == State.PENDING
    assert seconds < SOON
    answered, seconds = seconds_for(lambda: ask("GET", f"/jobs/logs?experimentId={handle}{wait.replace('?', '&')}"))
    assert answered.status == 204
    assert seconds < SOON


def test_what_can_be_said_is_said_at_once(ask, still, make):
    """The state of what has ended, rows that are there, the end of a log, and that there is no such experiment."""
    ended = make(log_lines=3)
    still.advance(20)
    assert seconds_for(lambda: ask("GET", state_of(ended, 60)))[1] < SOON
    for line, status in [(0, 200), (3, 200), (4, 204), (10**9, 204)]:
        answered, seconds = seconds_for(lambda line=line: ask("GET", logs_of(ended, 60, line)))
        assert (answered.status, seconds < SOON) == (status, True)
    for path in (state_of("nobody", 60), logs_of("nobody", 60)):
        answered, seconds = seconds_for(lambda path=path: ask("GET", path))
        assert (answered.status, seconds < SOON) == (404, True)


@pytest.mark.parametrize("outcome", ["error", "canceled"])
def test_the_log_of_what_never_ran_has_ended(ask, still, make, outcome):
    """Nobody waits for rows of an experiment that was canceled, or could not be set up."""
    handle = make(**({"outcome": outcome} if outcome == "error" else {}))
    if outcome == "canceled":
        ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    still.advance(20)
    answered, seconds = seconds_for(lambda: ask("GET", logs_of(handle, 60)))
    assert (answered.status, seconds < SOON) == (204, True)


def test_the_time_is_over(ask, still, make):
    """The answer is then the one that there would have been at once; the seconds are real ones, on any clock."""
    handle = make()
    for path, status in [(state_of(handle, 0.3), 200), (logs_of(handle, 0.3), 204)]:
        for scale in (0, 1e-6):
            still.clock.scale = scale
            answered, seconds = seconds_for(lambda path=path: ask("GET", path))
            assert answered.status == status
            assert 0.3 <= seconds < 0.3 + SOON


def test_the_state_changes_with_time(still, make, hold):
    """However far the clock is moved: the answer is the state that it is in then."""
    handle = make()
    for seconds, state in [(0.5, State.PROVISIONING), (10, State.RUNNING), (10, State.STOPPED)]:
        client = hold(state_of(handle, 60))
        assert is_open(client)
        still.advance(seconds)
        assert client.read().body["data"]["state"] == state


def test_somebody_changes_the_state(ask, still, make, hold):
    """Who waits for an experiment sees it started, and stopped."""
    handle = make(run="")
    client = hold(state_of(handle, 60))
    assert is_open(client)
    ask("PUT", f"{EXPERIMENTS}{handle}/start/")
    assert client.read().body["data"]["state"] == State.PENDING
    still.advance(10)
    client = hold(state_of(handle, 60))
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert client.read().body["data"]["state"] == State.NETWORK_TEARING_DOWN


def test_the_state_is_another_one_already(ask, still, make, hold):
    """Who knows an older state is told the new one at once; who knows it waits for the next one."""
    handle = make()
    answered, seconds = seconds_for(lambda: ask("GET", state_of(handle, 60) + f"&known={State.CREATED}"))
    assert answered.body["data"]["state"] == State.PENDING
    assert seconds < SOON
    client = hold(state_of(handle, 60) + f"&known={State.PENDING}")
    assert is_open(client)
    still.advance(10)
    assert client.read().body["data"]["state"] != State.PENDING


@pytest.mark.parametrize("path", [state_of, logs_of])
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "reset"])
def test_it_is_deleted_meanwhile(ask, still, make, hold, path, deleted):
    """Who waits is told that there is no such experiment any more."""
    handle = make()
    client = hold(path(handle, 60))
    assert is_open(client)
    if deleted:
        ask("DELETE", f"{EXPERIMENTS}{handle}/")
    else:
        still.reset()
    assert client.read().status == 404


def test_rows_appear(still, make, hold):
    """One moment is enough for one row or for many; the end marker is a row like others."""
    handle = make(log_lines=3)
    for line, seconds, found in [(0, 7, [1]), (1, 10, [2, 3]), (3, 4, [4])]:
        client = hold(logs_of(handle, 60, line))
        assert is_open(client)
        still.advance(seconds)
        answered = client.read()
        assert lines(answered) == found
    assert answered.body[-1]["message"] == END_OF_LOG


def test_the_run_ends_without_a_further_row(ask, still, make, hold):
    """Who waits for rows that never come is told so when it ends, whether by itself or because somebody stops it."""
    for act in (lambda handle: still.advance(20), lambda handle: ask("PUT", f"{EXPERIMENTS}{handle}/stop/")):
        handle = make(log_lines=3)
        clients = [hold(logs_of(handle, 60, line)) for line in (100, 10**17)]
        act(handle)
        assert [client.read().status for client in clients] == [204, 204]


def test_what_is_no_news_wakes_nobody(ask, still, make, hold):
    """Not time without a change, nor what happens to others, nor being told what is known already."""
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


def test_time_goes_on_at_another_scale(gradient_server, still, make, hold):
    """Who waits while time stands still, or goes slowly, meets the change when it goes faster."""
    handle = make(seconds=2000)
    client = hold(state_of(handle, 60))
    still.clock.scale = 1e-3
    assert is_open(client)
    answered, seconds = seconds_for(lambda: setattr(gradient_server.clock, "scale", 1000) or client.read())
    assert answered.body["data"]["state"] == State.PROVISIONING
    assert seconds < SOON


def test_an_answer_comes_as_soon_as_its_row(gradient_server, ask, make):
    """Followed by long polls, a log costs a request for each row, and none is late."""
    gradient_server.clock.scale = 10
    handle = make(log_lines=20, seconds=20)
    line, requests, late = 0, 0, []
    while line < 21:
        answered = ask("GET", logs_of(handle, 60, line))
        came = gradient_server.clock.date(gradient_server.clock.now())
        requests += 1
        late.append((came - datetime.fromisoformat(answered.body[-1]["timestamp"])).total_seconds() / 10)
        line = answered.body[-1]["line"]
    assert requests >= 10
    assert sorted(late)[len(late) // 2] < 0.05
    assert max(late) < SOON


def test_many_wait_for_the_same(still, make, hold, ask):
    """One moment answers all of them."""
    handle = make(log_lines=3)
    clients = [hold(logs_of(handle, 60)) for _ in range(100)]
    clients += [hold(state_of(handle, 60)) for _ in range(100)]
    still.advance(7)
    assert [lines(client.read()) for client in clients[:100]] == [[1]] * 100
    assert {client.read().body["data"]["state"] for client in clients[100:]} == {State.RUNNING}


def test_waiting_costs_no_time_of_the_processor(gradient_server, make, hold):
    """A hundred that wait for what comes in some minutes do nothing until then."""
    gradient_server.clock.scale = 1
    handle = make(seconds=100_000, log_lines=3)
    gradient_server.advance(50_000)
    clients = [hold(path) for path in (state_of(handle, 60), logs_of(handle, 60, line=1)) for _ in range(50)]
    used = time.process_time()
    time.sleep(1)  # not for luck: this is the time that is measured
    assert time.process_time() - used < 0.3
    assert all(is_open(client) for client in clients)


def test_a_client_goes_away(still, make, hold, ask):
    """Nobody makes a noise about it, and others go on waiting."""
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
def test_a_body_that_nobody_asked_for(still, make, connect_raw, ask, body):
    """Is received and forgotten; the connection serves the next request."""
    handle = make(log_lines=3)
    with contextlib.closing(connect_raw()) as client:
        client.connection.request("GET", logs_of(handle, 60), body, {"X-API-Key": client.key})
        still.advance(7)
        assert lines(client.read()) == [1]
        assert client("GET", EXPERIMENTS).status == 200
        assert client.connection.times_opened == 1


class Asking:
    """A client of a server that is not the one of the fixture, and requests that it does not read the answers of."""

    def __init__(self, stack, url, key):
        self.client = stack.enter_context(ExperimentsClient(key, base_url=f"{url}/experiments/v1/", logs_url=url))
        self.handle = self.client.create_single_node(**SMALL)
        parts = urlsplit(url)
        self.held = []
        for number in range(20):
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
            stack.callback(connection.close)
            connection.request("GET", EXPERIMENTS, headers={"X-API-Key": key})
            connection.getresponse().read()
            connection.request("GET", (logs_of, state_of)[number % 2](self.handle, 60), headers={"X-API-Key": key})
            self.held.append(connection)
        for _ in range(2):
            self.client.list()

    def assert_answered(self):
        """All have the answer that they would get at the end of their time."""
        for number, connection in enumerate(self.held):
            with connection.getresponse() as response:
                assert (response.status, bool(response.read())) == ((204, False), (200, True))[number % 2]


def test_the_server_stops():
    """Nobody who waits holds it up, and everyone is answered."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(LocalServer(api_key="key"))
        asking = Asking(stack, server.url, "key")
        _, seconds = seconds_for(server.stop)
        assert seconds < SOON
        asking.assert_answered()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(launch, ready_file, number):
    """As long polls do not hold it up, it stops at once, and without a word."""
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    process.stdout.readline()
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    with contextlib.ExitStack() as stack:
        asking = Asking(stack, ready["logs_url"], ready["api_key"])
        process.send_signal(number)
        (_, errors), seconds = seconds_for(lambda: process.communicate(timeout=20))
        assert (process.returncode, errors) == (0, "")
        assert seconds < SOON
        asking.assert_answered()


class Looking:
    """An answer that changes at a moment, and how often it was asked for."""

    def __init__(self, clock, moment):
        self.clock, self.moment, self.times = clock, moment, 0

    async def __call__(self):
        self.times += 1
        return (
            ApiResponse(200)
            if self.clock.now() >= self.moment
            else ApiResponse(204, pending=Pending("handle", self.moment))
        )


async def never():
    await asyncio.Event().wait()


def test_it_sleeps_until_there_is_something_to_see():
    """It looks when the request comes, when it can be woken, and when the moment has come; not in between."""
    clock = Clock(scale=10)
    looking = Looking(clock, 3)
    answer = asyncio.run(LongPolls(clock).answer(looking, 60, never))
    assert answer.status == 200
    assert 0 <= clock.now() - 3 < 10 * SOON
    assert looking.times == 3


def test_it_ends_with_its_client():
    """Whatever the client still sends is received first; then nobody waits any more."""
    messages = [{"type": "http.request", "body": b"x", "more_body": more} for more in (True, False)]
    messages.append({"type": "http.disconnect"})

    async def receive():
        return messages.pop(0)

    clock = Clock()
    looking = Looking(clock, 1000)
    with pytest.raises(ClientDisconnect):
        asyncio.run(LongPolls(clock).answer(looking, 60, receive))
    clock.advance(2000)
    assert looking.times == 2


def test_nothing_is_missed_between_looking_and_sleeping():
    """What happens right after the first look, in another thread, is seen at the second."""
    clock = Clock(scale=1e-9)
    looking = Looking(clock, 1000)

    async def look():
        answer = await looking()
        clock.advance(1000)
        return answer

    _, seconds = seconds_for(lambda: asyncio.run(LongPolls(clock).answer(look, 10, never)))
    assert seconds < SOON
