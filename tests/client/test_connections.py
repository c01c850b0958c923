"""Connections and requests on real sockets: how many there are, who shares what, and what goes over them."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stamina
from stamina.instrumentation import set_on_retry_hooks

from gradient import ExperimentsClient, GradientSdkError, RequestTimeoutError, WaitTimeoutError, constants
from gradient_ext import async_transport, transport
from tests.client.blocking import KINDS, client_of
from tests.client.flaky import EXPERIMENT, FlakyServer, drop, status
from tests.client.live import LiveServer

STOPPED = constants.ExperimentState.STOPPED
CALLS = {
    "create_single_node": lambda client, one, many: client.create_single_node(**one),
    "run_multi_node": lambda client, one, many: client.run_multi_node(**many),
    "start": lambda client, one, many: client.start("es1"),
    "delete": lambda client, one, many: client.delete("es1"),
    "get": lambda client, one, many: client.get("es1"),
    "list": lambda client, one, many: client.list(["pr1", "p r&2"]),
    "logs": lambda client, one, many: client.logs("es1", line=7),
}
ANSWERS = {
    "start": status(200, {"message": "success"}),
    "delete": status(200, {"message": "success"}),
    "list": status(200, {"data": [], "meta": {"totalItems": 0}}),
    "logs": status(200, []),
}


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture
def servers():
    both = [LiveServer(), LiveServer()]
    yield both
    for server in both:
        server.stop()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def set_for_both(monkeypatch, name, value):
    for module in (transport, async_transport):
        monkeypatch.setattr(module, name, value)


def wait_at_once(client, server, count):
    """Wait for an experiment so often at the same time, until it ends."""
    with ThreadPoolExecutor(count) as pool:
        waits = [pool.submit(client.wait, "es1") for _ in range(count)]
        server.wait_until(lambda: sum("wait" in query for query in server.asked("/state/")) >= count)
        server.change(state=STOPPED)
        assert {wait.result().state for wait in waits} == {STOPPED}


def test_requests_are_those_that_httpx_makes(flaky, kind, single_node, multi_node):
    """Header for header, first and later: the same as from a client that merges its settings into each of them."""

    def sent(client):
        flaky.requests, flaky.headers = [], []
        for given in ({"name": "é"}, {"name": "a longer name", "experiment_env": {"RATE": 1.5, "NONE": None}}):
            for name, call in CALLS.items():
                flaky.plan = [ANSWERS[name]] if name in ANSWERS else []
                call(client, {**single_node, **given}, {**multi_node, **given})
        headers = [sorted(pair for pair in each if pair[0] != "Idempotency-Key") for each in flaky.headers]
        return list(zip([(method, path, body) for method, path, _, body in flaky.requests], headers, strict=True))

    options = {"base_url": flaky.url, "logs_url": flaky.url}
    with httpx.Client() as own, ExperimentsClient("sesame", **options, http_client=own) as client:
        expected = sent(client)
    with client_of(kind, "sesame", **options) as client:
        assert sent(client) == expected


def test_cookies_are_shared(flaky, kind):
    """What a server sets goes back to it, also over another connection."""
    has_come, go_on = threading.Event(), threading.Event()

    def pause(handler):
        has_come.set()
        go_on.wait(5)
        status(200, EXPERIMENT)(handler)

    flaky.plan = [status(200, EXPERIMENT, Set_Cookie="seat=7; Path=/"), pause]
    with client_of(kind, "sesame", base_url=flaky.url) as client, ThreadPoolExecutor(1) as pool:
        client.get("es1")
        paused = pool.submit(client.get, "es1")
        assert has_come.wait(5)
        client.get("es1")
        go_on.set()
        assert paused.result().id == "es1"
    assert [headers.get("cookie") for _, _, headers, _ in flaky.requests] == [None, "seat=7", "seat=7"]
    assert len(set(flaky.peers)) == 2


def test_connections_that_are_not_needed_any_more(servers, kind, monkeypatch):
    """They are closed while others are used, one with each call."""
    live, _ = servers
    with client_of(kind, "sesame", base_url=live.url, logs_url=live.url) as client:
        wait_at_once(client, live, 5)
        assert live.connections() == 5
        client.state("es1")
        assert live.connections() == 5
        set_for_both(monkeypatch, "_KEEPALIVE", 0.0)
        for _ in range(4):
            client.state("es1")
        live.wait_until(lambda: live.connections() == 1)
        client.state("es1")


def test_closed_while_others_wait_for_a_connection(servers, kind, monkeypatch):
    """All of them hear that it is closed, and none of them opens a connection afterwards."""
    live, _ = servers
    set_for_both(monkeypatch, "MAX_CONNECTIONS", 1)
    with client_of(kind, "sesame", base_url=live.url, logs_url=live.url) as client, ThreadPoolExecutor(5) as pool:
        holding = pool.submit(client.wait, "es1")
        live.wait_until(lambda: [query for query in live.asked("/state/") if "wait" in query])
        calls = [holding, *(pool.submit(client.state, "es1") for _ in range(4))]
        while not all(call.running() for call in calls):
            time.sleep(0.01)
        client.close()
        live.change(state=STOPPED)
        for call in calls:
            with pytest.raises(GradientSdkError, match="This client is closed"):
                call.result(10)
        live.wait_until(lambda: live.connections() == 0)


def test_no_connection_is_free(servers, kind, monkeypatch):
    """Who waits for others to be done with them does so for no longer than the deadline, or the time that is given."""
    live, _ = servers
    set_for_both(monkeypatch, "MAX_CONNECTIONS", 1)
    with client_of(kind, "sesame", base_url=live.url, logs_url=live.url) as client, ThreadPoolExecutor(1) as pool:
        holding = pool.submit(client.wait, "es1")
        live.wait_until(lambda: [query for query in live.asked("/state/") if "wait" in query])
        began = time.monotonic()
        with pytest.raises(RequestTimeoutError, match="no connection is free: all 1 are in use"):
            client.with_options(deadline=0.3).state("es1")
        with pytest.raises(WaitTimeoutError, match="no connection is free"):
            client.wait("es1", timeout=0.3)
        assert time.monotonic() - began < 3
        live.change(state=STOPPED)
        assert holding.result(10).state == STOPPED
        assert client.state("es1") == STOPPED


def test_retries_are_told_to_stamina(flaky, kind):
    """To whoever watches its retries: all of them, the first one too, with what caused them."""
    told = []
    set_on_retry_hooks([told.append])
    stamina.set_testing(True, attempts=10)
    flaky.plan = [drop, status(503, b"")]
    try:
        with client_of(kind, "sesame", base_url=flaky.url) as client:
            client.get("es1")
    finally:
        stamina.set_testing(False)
        set_on_retry_hooks(None)
    assert [(details.name, details.retry_num) for details in told] == [("gradient", 1), ("gradient", 2)]
    assert [type(details.caused_by).__name__ for details in told] == ["RequestFailedError", "ServerError"]
    assert len(flaky.requests) == 3


INTERRUPTING = """
import itertools, sys, threading
from gradient import ExperimentsClient

def interrupt_at(moment):
    moments = itertools.count(1)

    def trace(frame, event, argument):
        package = frame.f_globals["__name__"].partition(".")[0]
        is_ours = event in ("call", "return") and package in ("gradient_ext", "queue", "threading")
        if is_ours and next(moments) == moment:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    return trace

client = ExperimentsClient("sesame", base_url=sys.argv[1], deadline=3, max_attempts=1)
client.get("es1")
for moment in itertools.count(1):
    sys.settrace(interrupt_at(moment))
    try:
        client.get("es1")
        break
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    again = threading.Thread(target=client.get, args=("es1",), daemon=True)
    again.start()
    again.join(5)
    if again.is_alive():
        sys.exit(f"interrupted at moment {moment}, and it hangs")
print(moment)
"""


def test_interrupted_at_any_moment(flaky):
    """By Ctrl-C, in any function of ours or of what we lock with: the next call is answered."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, flaky.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) > 50
