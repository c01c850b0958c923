"""Connections on real sockets: how many there are, who shares them, and whom they trust."""

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import trustme

from gradient import ExperimentsClient, GradientSdkError, RequestFailedError, RequestTimeoutError, WaitTimeoutError
from gradient.constants import ExperimentState
from gradient_ext import async_transport, transport
from tests.client.blocking import client_of
from tests.conftest import METHODS, call_method
from tests.fake_servers import EXPERIMENT, STATE, FlakyServer, status
from tests.tracebacks import everything_shown

STOPPED = ExperimentState.STOPPED


@pytest.fixture
def set_for_both(monkeypatch):
    """Return a function that sets a constant of both transports."""

    def set_constant(name, value):
        for module in (transport, async_transport):
            monkeypatch.setattr(module, name, value)

    return set_constant


def test_requests_are_those_that_httpx_makes(flaky, kind):
    """Header for header, first and later: the same as from a client that merges its settings into each of them."""

    def sent(client):
        flaky.requests.clear()
        for changes in ({"name": "é"}, {"name": "a longer name", "experiment_env": {"RATE": 1.5, "NONE": None}}):
            for name, keywords in METHODS.items():
                call_method(client, name, **(changes if "name" in keywords else {}))
        return [
            (each.method, each.target, sorted(pair for pair in each.header_items if pair[0] != "Idempotency-Key"))
            for each in flaky.requests
        ], [each.body for each in flaky.requests]

    urls = {"base_url": flaky.url, "logs_url": flaky.url}
    # Without the encodings of optional packages, whose decompression is not bounded.
    own = httpx.Client(headers={"Accept-Encoding": "gzip, deflate"})
    with own, ExperimentsClient("sesame", **urls, http_client=own) as client:
        expected = sent(client)
    with client_of(kind, "sesame", **urls) as client:
        assert sent(client) == expected


def test_cookies_are_sent_back_also_over_another_connection(flaky, client):
    has_come, go_on = threading.Event(), threading.Event()

    def pause(handler):
        has_come.set()
        go_on.wait(5)
        status(200, EXPERIMENT)(handler)

    flaky.plan = [status(200, EXPERIMENT, Set_Cookie="seat=7; Path=/"), pause]
    with ThreadPoolExecutor(1) as pool:
        client.get("es1")
        paused = pool.submit(client.get, "es1")
        assert has_come.wait(5)
        client.get("es1")
        go_on.set()
        assert paused.result().id == "es1"
    assert [request.headers.get("cookie") for request in flaky.requests] == [None, "seat=7", "seat=7"]
    assert len({request.peer for request in flaky.requests}) == 2


def test_cookies_do_not_pile_up(flaky, client):
    """All of them together have at most 8 KiB; when more come, the old ones are forgotten."""
    for number in range(20):
        value = "x" * (9000 if number == 15 else 1000)
        flaky.plan.append(status(200, EXPERIMENT, Set_Cookie=f"seat{number}={value}; Path=/"))
    for _ in range(21):
        client.get("es1")
    sent = [request.headers.get("cookie", "") for request in flaky.requests]
    assert max(len(text) for text in sent) <= 8192 + 100  # and what is between them
    assert [text.count("=") for text in sent[:10]] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 1]
    assert "seat19=" in sent[-1]
    assert "seat15=" not in "".join(sent)


def test_idle_connections_are_reused_and_evicted_one_with_each_call(live, client, set_for_both):
    with ThreadPoolExecutor(5) as pool:
        waits = [pool.submit(client.wait, "es1") for _ in range(5)]
        live.wait_until(lambda: len(live.long_polls(STATE)) >= 5)
        live.change(state=STOPPED)
        assert {wait.result().state for wait in waits} == {STOPPED}
    client.state("es1")
    assert live.connections() == 5
    set_for_both("_KEEPALIVE", 0.0)
    for _ in range(4):
        client.state("es1")
    live.wait_until(lambda: live.connections() == 1)


def test_closing_a_client_ends_the_calls_that_wait_for_a_connection(live, client, set_for_both):
    """None of them opens a connection afterwards."""
    set_for_both("MAX_CONNECTIONS", 1)
    with ThreadPoolExecutor(5) as pool:
        held = pool.submit(client.wait, "es1")
        live.wait_until(lambda: live.long_polls(STATE))
        calls = [held, *(pool.submit(client.state, "es1") for _ in range(4))]
        while not all(call.running() for call in calls):
            time.sleep(0.01)
        client.close()
        live.change(state=STOPPED)
        for call in calls:
            with pytest.raises(GradientSdkError, match="This client is closed"):
                call.result(10)
        live.wait_until(lambda: live.connections() == 0)


def test_waiting_for_a_free_connection_ends_with_the_deadline_or_the_timeout(live, client, set_for_both):
    set_for_both("MAX_CONNECTIONS", 1)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.wait, "es1")
        live.wait_until(lambda: live.long_polls(STATE))
        started_at = time.monotonic()
        with pytest.raises(RequestTimeoutError, match="no connection is free: all 1 are in use"):
            client.with_options(deadline=0.3).state("es1")
        with pytest.raises(WaitTimeoutError, match="no connection is free"):
            client.wait("es1", timeout=0.3)
        assert time.monotonic() - started_at < 3
        live.change(state=STOPPED)
        assert held.result(10).state == STOPPED
        assert client.state("es1") == STOPPED


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


def test_after_ctrl_c_at_any_moment_the_next_call_succeeds(flaky):
    """In any function of ours or of what we lock with."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, flaky.url], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) > 50


def test_an_http_client_of_the_user_sends_everything_with_its_settings_and_stays_open(flaky):
    with httpx.Client(headers={"X-Trace": "t1"}, follow_redirects=True) as own:
        with ExperimentsClient("sesame", base_url=flaky.url, http_client=own) as client:
            client.get("es1")
        headers = flaky.requests[0].headers
        assert (headers["x-trace"], headers["x-api-key"]) == ("t1", "sesame")
        assert "x-api-key" not in own.headers
        assert not own.is_closed


@pytest.mark.filterwarnings("ignore:The API key goes to")
def test_a_proxy_that_the_environment_names_is_used(flaky, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", flaky.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with ExperimentsClient("sesame", base_url="http://experiments.invalid/v1") as client:
        client.get("es1")
    assert flaky.requests[0].target == "http://experiments.invalid/v1/experiments/es1/"


@pytest.mark.parametrize("follow_redirects", [False, True])
def test_a_redirect_is_an_error_that_names_the_target_and_the_key_is_not_sent_there(flaky, follow_redirects):
    elsewhere = FlakyServer()
    flaky.plan = [status(307, b"", Location=f"{elsewhere.url}/v2/experiments/es1/?limit=1")]
    with (
        contextlib.closing(httpx.Client(follow_redirects=follow_redirects)) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client,
        pytest.raises(GradientSdkError, match="the server redirects to") as caught,
    ):
        client.get("es1")
    assert f"give the client the address {elsewhere.url}/v2\n" in str(caught.value)
    assert elsewhere.requests == []
    elsewhere.stop()


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/v2/experiments/es1/", "redirects to {host}/v2/experiments/es1/; give the client the address {host}/v2\n"),
        ("../elsewhere", "redirects to {url}/experiments/elsewhere\n"),
        ("https://login.example.com/?next=x", "redirects to https://login.example.com/?next=x\n"),
        ("", "redirects to {url}/experiments/es1/; give"),
        ("http://[", "redirects to http://["),
        ("http://h:port/", "Invalid URL in location header"),
    ],
)
def test_a_redirect_that_is_relative_or_invalid_is_a_final_error(flaky, client, location, shown):
    flaky.plan = [status(302, b"", Location=location)]
    with pytest.raises(GradientSdkError) as caught:
        client.get("es1")
    assert shown.format(host=flaky.url, url=f"{flaky.url}/experiments/v1") in str(caught.value)
    assert not caught.value.retryable
    assert len(flaky.requests) == 1


def test_calls_of_a_closed_client_say_that_it_is_closed(flaky, client):
    """Whether this client was closed or a copy of it; closing twice is no error."""
    copy = client.with_options(timeout=1)
    client.close()
    client.close()
    for closed in (client, copy):
        with pytest.raises(GradientSdkError, match="This client is closed"):
            closed.get("es1")


def test_calls_through_a_closed_http_client_say_that_it_is_closed(flaky):
    own = httpx.Client()
    with ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client:
        assert client.get("es1").id == "es1"
        own.close()
        with pytest.raises(GradientSdkError, match="The http_client of this client is closed"):
            client.get("es1")


FORKING = """
import asyncio, faulthandler, os, signal, sys, threading
from gradient import AsyncExperimentsClient, ExperimentsClient

kind, url = sys.argv[1:]
kinds = {"threads": ExperimentsClient, "asyncio": AsyncExperimentsClient}
client = kinds[kind]("a-key", base_url=url, logs_url=url, deadline=5)

def call():
    if kind == "threads":
        return client.get("es1").id
    async def get():
        return (await client.get("es1")).id
    return asyncio.run(get())

importing, forking, forked = threading.Event(), threading.Event(), threading.Event()
forks = 0

class Finder:
    # Let the process fork at each import of the thread that calls.
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is caller and not forking.is_set():
            importing.set()
            forked.wait(0.02)
            forked.clear()

caller = threading.Thread(target=call)
sys.meta_path.insert(0, Finder())
caller.start()
while caller.is_alive():
    if not importing.wait(0.01):
        continue
    forking.set()
    forks += 1
    child = os.fork()
    importing.clear()
    if not child:
        del sys.meta_path[0]
        faulthandler.dump_traceback_later(5, exit=True)
        os._exit(call() != "es1")
    forking.clear()
    forked.set()
    if os.waitpid(child, 0)[1]:
        sys.exit("a child that was forked during an import waits for ever")
print(forks)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # from Python 3.12 on
class TestFork:
    def child_of(self, action):
        """Fork, and return a function that waits for the exit code of the child: 0 if an action succeeds there."""
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if action() else 2
            finally:
                os._exit(code)
        return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_a_process_that_is_forked_during_any_import_of_a_first_call_can_make_calls(self, flaky, kind):
        """A retried one, too. The child would wait for ever for a module that nobody imports any more."""
        flaky.plan = [status(503)]
        url = flaky.url.replace("127.0.0.1", "localhost")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FORKING, kind, url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        assert int(done.stdout) >= 1

    def test_a_forked_process_refuses_an_http_client_of_the_user(self, flaky):
        with httpx.Client() as own, ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client:
            client.get("es1")

            def refuses():
                with pytest.raises(GradientSdkError, match="make both after forking") as caught:
                    client.get("es1")
                return "sesame" not in everything_shown(caught.value)

            assert self.child_of(refuses)() == 0
            assert client.get("es1").id == "es1"

    def test_a_forked_process_opens_connections_of_its_own(self, flaky):
        """Parent and child go on with the same client, and neither can read the responses of the other."""
        with ExperimentsClient("sesame-key", base_url=flaky.url) as client:
            client.get("es1")
            wait = self.child_of(lambda: client.get("es1").id == "es1")
            assert client.get("es1").id == "es1"
            assert wait() == 0
        peers = [request.peer for request in flaky.requests]
        assert sorted(peer == peers[0] for peer in peers) == [False, True, True]
        assert sys.exc_info() == (None, None, None)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority):
    """A server whose certificate is of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = FlakyServer(context)
    yield server
    server.stop()


@pytest.fixture
def authority_in_environment(authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def test_a_certificate_of_an_unknown_authority_is_an_error_that_is_not_retried(secure):
    with (
        ExperimentsClient("sesame", base_url=secure.url) as client,
        pytest.raises(RequestFailedError, match="certificate verify failed") as caught,
    ):
        client.get("es1")
    assert not caught.value.retryable
    assert not hasattr(caught.value, "__notes__")
    assert secure.connection_count == 1
    assert secure.requests == []


@pytest.mark.usefixtures("authority_in_environment")
def test_a_certificate_of_another_host_is_an_error_even_if_its_authority_is_known(secure):
    elsewhere = secure.url.replace("localhost", "127.0.0.1")
    with ExperimentsClient("sesame", base_url=elsewhere) as client, pytest.raises(RequestFailedError, match="mismatch"):
        client.get("es1")
    assert secure.requests == []


@pytest.mark.usefixtures("authority_in_environment")
def test_an_authority_that_the_environment_names_is_trusted(secure):
    with ExperimentsClient("sesame", base_url=secure.url) as client:
        assert client.get("es1").id == "es1"


def test_an_authority_that_the_http_client_trusts_is_trusted(secure, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        httpx.Client(verify=context) as own,
        ExperimentsClient("sesame", base_url=secure.url, http_client=own) as client,
    ):
        assert client.get("es1").id == "es1"
