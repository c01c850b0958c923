"""Calls over a bad network, on real sockets: what is tried again, with what, for how long, and how it ends."""

import contextlib
import copy
import logging
import math
import socket
import time

import httpx
import pytest
import stamina

from gradient import (
    ConflictError,
    ExperimentsClient,
    GradientSdkError,
    InvalidParametersError,
    MalformedResponseError,
    RateLimitError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceCreatingError,
    ServerError,
)
from tests.client.blocking import KINDS, client_of
from tests.client.flaky import FlakyServer, cut, drip, drop, half, hang, page, status


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture
def at_once():
    """Pauses take no time; how long they would be is tested with the policy."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)


@pytest.fixture(params=KINDS)
def flaky_client(request, flaky):
    with client_of(request.param, "sesame", base_url=flaky.url, logs_url=flaky.url, timeout=0.5) as client:
        yield client


PASSING = {
    "no answer": drop,
    "a cut answer": cut,
    "half of a document": half,
    "a web page": page,
    "an answer that never comes": hang,
    **{str(number): status(number, b"<html>sorry</html>") for number in (408, 429, 500, 502, 503, 504)},
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_ridden_out_with_one_key(flaky, flaky_client, single_node, fault):
    """A create that fails twice succeeds, and every attempt is the same request with the same idempotency key."""
    flaky.plan = [fault, fault]
    assert flaky_client.create_single_node(**single_node) == "es1"
    assert len(flaky.requests) == 3
    assert (
        len({(method, path, headers["idempotency-key"], body) for method, path, headers, body in flaky.requests}) == 1
    )


@pytest.mark.usefixtures("at_once")
def test_every_call_that_changes_something_has_a_key_of_its_own(flaky, flaky_client, single_node):
    """Keys are for calls, not for clients or bodies; reading needs none."""
    flaky.plan = [status(200, {"handle": "es1", "message": "success"})] * 6
    for call in (flaky_client.create_single_node, flaky_client.create_single_node, flaky_client.run_single_node):
        call(**single_node)
    for call in (flaky_client.start, flaky_client.stop, flaky_client.delete):
        call("es1")
    keys = [headers.get("idempotency-key") for _, _, headers, _ in flaky.requests]
    assert len(set(keys)) == len(keys) == 6
    assert None not in keys
    flaky_client.get("es1")
    assert "idempotency-key" not in flaky.requests[-1][2]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(409, {"error": "Conflict"}), ConflictError),
        (status(501, b""), ServerError),
        (status(520, b""), ServerError),
        (status(200, {"message": "success"}), ResourceCreatingError),
        (status(200, [1]), ResourceCreatingError),
    ],
)
def test_what_cannot_pass_is_raised_at_once(flaky, flaky_client, single_node, answer, error):
    """The same answer would come again."""
    flaky.plan = [answer, answer]
    with pytest.raises(error) as caught:
        flaky_client.create_single_node(**single_node)
    assert not caught.value.retryable
    assert len(flaky.requests) == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("fault", "error", "builtin"),
    [
        (drop, RequestFailedError, ConnectionError),
        (hang, RequestTimeoutError, TimeoutError),
        (status(503, {"error": "restarting"}, X_Request_Id="r-7"), ServerError, Exception),
        (half, MalformedResponseError, Exception),
    ],
)
def test_giving_up(flaky, flaky_client, fault, error, builtin):
    """The last error is raised, with the request it is about and a note of how often it was tried."""
    flaky.plan = [fault] * 3
    with pytest.raises(error) as caught:
        flaky_client.with_options(max_attempts=3).get("es1")
    assert isinstance(caught.value, builtin)
    assert f"GET {flaky.url}/experiments/es1/" in str(caught.value)
    assert caught.value.__notes__[0].startswith("Gave up after 3 attempts in ")
    assert len(flaky.requests) == 3


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("code", [404, 503])
def test_tracebacks_are_short(flaky, flaky_client, code):
    """They lead from the call to what went wrong, not through what tries again."""
    flaky.plan = [status(code)] * 3
    with pytest.raises(GradientSdkError) as caught:
        flaky_client.with_options(max_attempts=3).get("es1")
    packages = {entry.frame.f_globals["__name__"].partition(".")[0] for entry in caught.traceback}
    assert "gradient_ext" in packages
    assert packages.isdisjoint({"stamina", "tenacity"})


def test_a_server_may_ask_to_wait(flaky, flaky_client):
    """It is obeyed in seconds, on the clock."""
    flaky.plan = [status(429, b"", Retry_After="1")]
    began = time.monotonic()
    flaky_client.get("es1")
    assert time.monotonic() - began >= 1


def test_a_server_that_asks_too_much(flaky, flaky_client):
    """The error is raised at once, and says how long."""
    flaky.plan = [status(429, {"error": "Too many"}, Retry_After="3600")]
    with pytest.raises(RateLimitError, match="asks to wait 3600 seconds") as caught:
        flaky_client.get("es1")
    assert caught.value.retry_after == 3600
    assert len(flaky.requests) == 1


@pytest.mark.parametrize(
    ("fault", "times", "timeout"), [(drip, 2, None), (hang, 2, 4), (drop, 1000, None), (status(503, b""), 1000, None)]
)
def test_the_deadline_is_for_everything_together(flaky, flaky_client, fault, times, timeout):
    """Attempts, pauses, and an answer that drips for ever."""
    flaky.plan = [fault] * times
    began = time.monotonic()
    with pytest.raises((RequestFailedError, ServerError)):
        flaky_client.with_options(deadline=1, timeout=timeout, max_attempts=10).get("es1")
    assert time.monotonic() - began < 3


def test_what_went_wrong_before_the_deadline_is_told(flaky, flaky_client):
    """Not that there was no time for the last answer to come, which says nothing."""
    flaky.plan = [status(503, {"error": "Down for repairs"}), *[hang] * 5]
    with pytest.raises(ServerError, match="Down for repairs") as caught:
        flaky_client.with_options(deadline=1, timeout=None).get("es1")
    assert [note for note in caught.value.__notes__ if "Gave up after 2 attempts in" in note]


def test_a_connection_that_is_not_made(single_node):
    """A host that says nothing at all is given up after the time for connecting, which is shorter than for answers."""
    with socket.socket() as silent, contextlib.ExitStack() as waiting:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        # As many as fit into its queue; what comes later is not answered.
        for _ in range(2):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = waiting.enter_context(ExperimentsClient("k", base_url=url, connect_timeout=0.2, max_attempts=1))
        began = time.monotonic()
        with pytest.raises(RequestTimeoutError, match="no connection in time"):
            client.create_single_node(**single_node)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "options",
    [{"timeout": math.inf, "deadline": None}, {"timeout": None, "deadline": 1e12}, {"connect_timeout": 1e300}],
)
def test_times_longer_than_sockets_take(flaky, options):
    """They are as good as no end."""
    with ExperimentsClient("k", base_url=flaky.url, **options) as client:
        assert client.get("es1").id == "es1"


def test_options_for_some_calls(flaky, flaky_client):
    """The twin differs in what was asked for, shares the connections, and the first client stays as it was."""
    flaky.plan = [drop]
    with pytest.raises(RequestFailedError):
        flaky_client.with_options(max_attempts=1).get("es1")
    flaky.plan = [status(503)]
    assert flaky_client.get("es1").id == "es1"
    assert repr(flaky_client.with_options(timeout=3)) == repr(flaky_client)


def test_options_of_a_client_that_knows_more(flaky):
    """What a subclass has set is shared too."""

    class TeamClient(ExperimentsClient):
        def __init__(self, team, **given):
            super().__init__("k", **given)
            self.team = team

    with TeamClient("vision", base_url=flaky.url) as client:
        hurried = client.with_options(timeout=3)
        assert (hurried.team, copy.copy(client).team) == ("vision", "vision")
        assert hurried.get("es1").id == "es1"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timeout": 0}, "timeout: must be seconds"),
        ({"connect_timeout": "5"}, "connect_timeout: must be seconds"),
        ({"deadline": -1}, "deadline: must be seconds"),
        ({"patience": False}, "patience: must be seconds"),
        ({"max_attempts": 0}, "max_attempts: must be an int of at least 1"),
        ({"max_attempts": True, "timeout": "5"}, "timeout: must be seconds"),
    ],
)
def test_wrong_options(flaky_client, changes, problem):
    """They are named, for a client and for some calls alike."""
    for make in (flaky_client.with_options, lambda **given: ExperimentsClient("k", **given)):
        with pytest.raises(InvalidParametersError, match=problem):
            make(**changes)
    with pytest.raises(TypeError, match="'retries'"):
        flaky_client.with_options(retries=3)


def test_a_client_of_the_users_own(flaky):
    """Everything goes through it, its settings hold, it gets no key of ours, and stays open."""
    with httpx.Client(headers={"X-Trace": "t1"}, follow_redirects=True) as own:
        with ExperimentsClient("sesame", base_url=flaky.url, http_client=own) as client:
            client.get("es1")
        headers = flaky.requests[0][2]
        assert (headers["x-trace"], headers["x-api-key"]) == ("t1", "sesame")
        assert "x-api-key" not in own.headers
        assert not own.is_closed


def test_proxies_of_the_environment(flaky, monkeypatch):
    """A proxy that the environment names is used, without anything said to the client."""
    monkeypatch.setenv("HTTP_PROXY", flaky.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with ExperimentsClient("sesame", base_url="http://experiments.localhost/v1") as client:
        client.get("es1")
    assert flaky.requests[0][1] == "http://experiments.localhost/v1/experiments/es1/"


def test_what_the_log_says(flaky, flaky_client, caplog):
    """One line for each attempt at DEBUG, one for each retry at INFO, none from elsewhere at WARNING."""
    flaky.plan = [status(503, {"error": "restarting\nWARNING: not a line of ours"})]
    with caplog.at_level(logging.DEBUG):
        flaky_client.get("es1")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "gradient"]
    assert [level for level, _ in lines] == ["DEBUG", "INFO", "DEBUG"]
    assert "restarting" in lines[1][1]
    assert not [line for _, line in lines if "\n" in line]
    assert "the next one is in" in lines[1][1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
