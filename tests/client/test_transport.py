"""Calls over a bad network, on real sockets: what is retried, for how long, and which error it ends in."""

import contextlib
import gzip
import json
import logging
import math
import socket
import time
import zlib

import httpx
import pytest
from stamina.instrumentation import set_on_retry_hooks

from gradient import (
    ConflictError,
    ExperimentsClient,
    GradientSdkError,
    LogsInterruptedError,
    MalformedResponseError,
    NotFoundError,
    RateLimitError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceCreatingError,
    ResourceFetchingError,
    ServerError,
)
from gradient_ext import transport
from tests.conftest import METHODS, call_method
from tests.fake_servers import EXPERIMENT, cut, drip, drop, endless, half, hang, page, raw, status
from tests.tracebacks import everything_shown

CREATES = ["create_single_node", "run_single_node", "create_multi_node", "run_multi_node", "rerun"]
CHANGES = [*CREATES, "start", "stop", "delete", "add_tags", "remove_tags", "set_note"]
TRANSIENT = {
    "no response": drop,
    "a cut response": cut,
    "half of a document": half,
    "a web page": page,
    "silence": hang,
    "a transient status": status(503, b"<html>sorry</html>"),
}


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
def test_a_transient_failure_is_retried_with_the_same_request_and_idempotency_key(flaky, client, single_node, fault):
    flaky.plan = [fault, fault]
    assert client.with_options(timeout=0.3).create_single_node(**single_node) == "es1"
    attempts = {(each.method, each.target, each.headers["idempotency-key"], each.body) for each in flaky.requests}
    assert (len(flaky.requests), len(attempts)) == (3, 1)


def test_every_call_that_changes_something_has_an_idempotency_key_of_its_own(flaky, client):
    for _ in range(2):
        for name in METHODS:
            call_method(client, name)
    # A repeated upload changes nothing: its address is its digest.
    changes = [each for each in flaky.requests if each.method != "GET" and "/workspaces/" not in each.path]
    keys = [each.headers.get("idempotency-key") for each in changes]
    assert len(set(keys)) == len(keys) == 2 * len(CHANGES)
    assert None not in keys
    assert not any("idempotency-key" in each.headers for each in flaky.requests if each not in changes)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (status(409, {"error": "Conflict"}), ConflictError),
        (status(501), ServerError),
        (status(520), ServerError),
        *((status(200, body), ResourceCreatingError) for body in ({"message": "success"}, [1], {"handle": ""})),
    ],
)
def test_a_permanent_failure_is_raised_at_once(flaky, client, single_node, response, error):
    flaky.plan = [response]
    with pytest.raises(error) as caught:
        client.create_single_node(**single_node)
    assert not caught.value.retryable
    assert len(flaky.requests) == 1


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    ("fault", "error", "builtin"),
    [
        (drop, RequestFailedError, ConnectionError),
        (hang, RequestTimeoutError, TimeoutError),
        (status(503, {"error": "restarting"}), ServerError, Exception),
        (half, MalformedResponseError, Exception),
    ],
)
def test_after_the_last_attempt_the_error_names_the_request_and_the_attempts_in_a_short_traceback(
    flaky, client, fault, error, builtin
):
    flaky.plan = [fault] * 3
    with pytest.raises(error) as caught:
        client.with_options(max_attempts=3, timeout=0.3).get("es1")
    assert isinstance(caught.value, builtin)
    assert f"GET {flaky.url}/experiments/v1/experiments/es1/" in str(caught.value)
    assert caught.value.__notes__[0].startswith("Gave up after 3 attempts in ")
    assert len(flaky.requests) == 3
    packages = {entry.frame.f_globals["__name__"].partition(".")[0] for entry in caught.traceback}
    assert "gradient_ext" in packages
    assert packages.isdisjoint({"stamina", "tenacity", "httpx"})


def test_an_error_carries_the_request_and_the_response(flaky, client):
    flaky.plan = [status(409, {"details": {"handle": "es1"}, "error": "Said so"}, X_Request_Id="r-7")]
    with pytest.raises(ConflictError) as caught:
        client.start("es1")
    error = caught.value
    assert (error.status, error.method, error.url) == (409, "PUT", f"{flaky.url}/experiments/v1/experiments/es1/start/")
    assert (error.request_id, error.details, error.words) == ("r-7", {"handle": "es1"}, ("handle: es1", "Said so"))
    assert str(error).startswith("Failed to start experiment: handle: es1\nSaid so\n(status 409 ")


@pytest.mark.parametrize("name", METHODS)
def test_an_error_response_is_a_resource_fetching_error_of_every_method(flaky, client, name):
    for number in (301, 401, 403, 502, 520):
        flaky.otherwise = lambda request, number=number: status(number, b"<html>")
        with pytest.raises((ResourceFetchingError, LogsInterruptedError)) as caught:
            call_method(client.with_options(max_attempts=1, patience=0.001), name)
        error = caught.value
        assert (error.error if isinstance(error, LogsInterruptedError) else error).status == number


@pytest.mark.parametrize("name", METHODS)
def test_a_success_that_is_not_as_the_contract_says_is_tolerated_or_an_error_of_this_package(flaky, client, name):
    digits = b"9" * 5000  # Python reads numbers of up to 4,300.
    experiment = b'{"handle": "es1", "experimentTypeId": 1, "state": %b}' % digits
    numbers = (digits, b'{"handle": %b}' % digits, b'{"data": %b}' % experiment, b'{"data": [%b]}' % experiment)
    others = (b"", b"not JSON", b"{}", b"3", b'"text"', b"<html></html>", b'{"data": 7}', b"[" * 100_000)
    for body in (*others, *numbers, b'[{"line": %b}]' % digits):
        flaky.otherwise = lambda request, body=body: status(200, body)
        with contextlib.suppress(GradientSdkError):
            call_method(client.with_options(max_attempts=1, patience=0.001), name)


STORED = {"params": {"registryPassword": "sesame", "workspaceUrl": "https://me:sesame@h/r.git"}}
WITHOUT_STATE = {"handle": "es1", "experimentTypeId": 1, "state": {}, "templateHistory": STORED}


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("get", {"data": WITHOUT_STATE}, "state is an object instead of"),
        ("state", {"data": WITHOUT_STATE}, "state is an object instead of"),
        ("list", {"data": [WITHOUT_STATE]}, "state is an object instead of"),
        ("list", {"data": [{"handle": "es1", "data": [], "x": STORED}]}, "an experiment lacks its state"),
        ("logs", [{"line": [], "message": "x", "timestamp": "", "jobId": "js1"}], "line is an array instead of"),
        ("create_single_node", {"handle": [], "message": "success"}, "handle is an array instead of"),
    ],
)
def test_a_malformed_response_error_names_the_value_and_shows_nothing_else_of_the_response(
    flaky, client, name, body, problem
):
    flaky.plan = [status(200, body)]
    with pytest.raises(MalformedResponseError, match=f"the answer is not as the contract says; {problem}") as caught:
        call_method(client, name)
    assert caught.value.url.startswith(flaky.url)
    assert caught.value.method in str(caught.value)
    assert "sesame" not in everything_shown(caught.value)


@pytest.mark.parametrize("number", [202, 203, 206])
def test_a_success_with_another_status_does_not_pass_for_no_rows(flaky, client, number):
    flaky.plan = [status(number, [{"line": 1, "message": "x", "timestamp": "", "jobId": "js1"}])]
    with pytest.raises(MalformedResponseError, match=f"status {number} with a body"):
        client.logs("es1")


BODY = json.dumps(EXPERIMENT).encode()
PACKED = gzip.compress(BODY)


def response(body, *headers, status=b"HTTP/1.1 200 OK", length=None):
    # A connection that the client takes for open might break before the next request, and cost an attempt.
    lines = [status, b"Content-Length: %d" % (len(body) if length is None else length), b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "no gzip": response(BODY, b"Content-Encoding: gzip"),
    "half of gzip": response(PACKED[:-20], b"Content-Encoding: gzip"),
    "no deflate": response(b"\xff" * 20, b"Content-Encoding: deflate"),
    "Latin-1": response(BODY.replace(b"success", b"succ\xe8s")),
    "too deep": response(b"[" * 100_000),
    "nothing": response(b""),
    "a chunk that is cut off": CHUNKED + b"100\r\n{",
    "an invalid chunk": CHUNKED + b"one\r\n{",
    "more than was promised": response(BODY, length=5),
    "less than was promised": response(BODY, length=1000),
    "two lengths": response(BODY, b"Content-Length: 3"),
    "an invalid header": response(BODY, b"X-\x00: 1"),
    "a header without end": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
    "an invalid status": response(BODY, status=b"HTTP/1.1 99 Odd"),
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "an upgrade that was not requested": b"HTTP/1.1 101 Odd\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}
UNUSUAL = {
    "gzip": response(PACKED, b"Content-Encoding: gzip"),
    "deflate": response(zlib.compress(BODY), b"Content-Encoding: Deflate"),
    "deflate without a header": response(zlib.compress(BODY, wbits=-15), b"Content-Encoding: deflate"),
    "an unknown encoding": response(BODY, b"Content-Encoding: none"),
    "UTF-16": response(BODY.decode().encode("utf-16")),
    "an unknown charset": response(BODY, b"Content-Type: application/json; charset=none"),
    "a header that is no text": response(BODY, b"X-Request-Id: \xff\xfe"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "interim responses": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + response(BODY),
}


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_response_is_retried_and_an_error_of_this_package_if_it_stays(flaky, client, broken):
    hurried = client.with_options(max_attempts=2, timeout=5)
    flaky.plan = [raw(broken), raw(response(BODY))]
    assert hurried.get("es1").id == "es1"
    flaky.plan = [raw(broken)] * 2
    with pytest.raises(GradientSdkError) as caught:
        hurried.get("es1")
    assert caught.value.retryable
    assert flaky.plan == []


@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_response_is_read(flaky, client, unusual):
    flaky.plan = [raw(unusual)]
    assert client.get("es1").id == "es1"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([b"Date: Fri, 31 Dec 1999 23:59:29 GMT", b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"], 30),
        ([b"Date: yesterday", b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"], 0),
        ([b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"], 0),
        ([b"Date: Fri, 31 Dec 1999 23:59:29 GMT", b"Retry-After: 7"], 7),
        ([b"Retry-After: -7"], None),
        ([b"Retry-After: \xff"], None),
    ],
)
def test_a_retry_after_date_is_relative_to_the_clock_of_the_server(flaky, client, headers, seconds):
    """A wrong clock turns a pause of a minute neither into a year nor into none."""
    flaky.plan = [raw(response(b"{}", *headers, status=b"HTTP/1.1 503 Busy"))]
    with pytest.raises(ServerError) as caught:
        client.with_options(max_attempts=1).get("es1")
    assert caught.value.retry_after == seconds


def test_a_retry_after_is_obeyed(flaky, client):
    flaky.plan = [status(429, Retry_After="1")]
    started_at = time.monotonic()
    client.get("es1")
    assert time.monotonic() - started_at >= 1


def test_a_retry_after_that_is_too_long_is_raised_at_once(flaky, client):
    flaky.plan = [status(429, {"error": "Too many"}, Retry_After="3600")]
    with pytest.raises(RateLimitError, match="asks to wait 3600 seconds") as caught:
        client.get("es1")
    assert caught.value.retry_after == 3600
    assert len(flaky.requests) == 1


INTERIM = endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.02)
HEADERS = endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x", 0.02)
SLOW = {
    "a slow body": (drip, None),
    "silence": (hang, 4),
    "broken connections": (drop, None),
    "interim responses without end": (INTERIM, None),
    "headers without end": (HEADERS, None),
}


@pytest.mark.parametrize(("fault", "timeout"), SLOW.values(), ids=SLOW)
def test_the_deadline_ends_attempts_pauses_and_slow_bodies(flaky, client, fault, timeout):
    flaky.plan = [fault] * 1000
    started_at = time.monotonic()
    with pytest.raises(RequestFailedError):
        client.with_options(deadline=0.5, timeout=timeout, max_attempts=1000).get("es1")
    assert time.monotonic() - started_at < 2.5


CHUNKS = (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


@pytest.fixture(params=["own", "given"])
def sending(request, flaky):
    """A client with connections of its own, and one with an http_client."""
    with httpx.Client() as http:
        given = {"http_client": http} if request.param == "given" else {}
        with ExperimentsClient("a-key", base_url=flaky.url, logs_url=flaky.url, **given) as client:
            yield client


def test_the_deadline_ends_a_slow_body_through_an_http_client_of_the_user(flaky, sending):
    flaky.plan = [drip] * 10
    started_at = time.monotonic()
    with pytest.raises(RequestTimeoutError):
        sending.with_options(deadline=0.5).get("es1")
    assert time.monotonic() - started_at < 2.5


def test_a_body_without_end_is_a_malformed_response_that_is_not_requested_again(flaky, sending, monkeypatch):
    monkeypatch.setattr(transport, "MAX_BODY", 1024 * 1024)
    flaky.plan = [endless(b"HTTP/1.1 200 OK\r\n" + CHUNKS[0], CHUNKS[1])]
    with pytest.raises(MalformedResponseError, match="its body has more than 1 MiB") as caught:
        sending.get("es1")
    assert not caught.value.retryable
    assert sending.get("es1").id == "es1"
    assert len(flaky.requests) == 2


def test_a_small_body_that_unpacks_to_more_than_256_mib_is_a_malformed_response(flaky, sending):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(257)]) + packer.flush()
    flaky.plan = [raw(response(bomb, b"Content-Encoding: gzip"))]
    with pytest.raises(MalformedResponseError, match="its body has more than 256 MiB"):
        sending.get("es1")


def test_a_body_of_some_megabytes_is_read(flaky, sending):
    large = b" " * (64 << 20) + BODY
    flaky.plan = [raw(response(gzip.compress(large, 1), b"Content-Encoding: gzip"))]
    assert sending.get("es1").id == "es1"


def test_a_body_that_is_compressed_twice_is_not_unpacked(flaky, sending):
    twice = gzip.compress(PACKED)
    flaky.plan = [raw(response(twice, b"Content-Encoding: gzip, gzip"))]
    with pytest.raises(MalformedResponseError):
        sending.with_options(max_attempts=1).get("es1")


def test_the_body_of_an_error_is_cut_off_after_a_mib_and_its_texts_after_500_characters(flaky, sending):
    flaky.plan = [endless(b"HTTP/1.1 404 No\r\n" + CHUNKS[0], CHUNKS[1])]
    with pytest.raises(NotFoundError) as caught:
        sending.get("es1")
    assert len(caught.value.details) == 1024 * 1024
    assert caught.value.words == ("x" * 500 + " ...",)


HOSTILE = {
    "titles": b"<html>" + b"<title>" * 200_000,
    "headings": b"<html>" + b"<h1 " * 300_000,
    "addresses": b"://a:" * 200_000,
    "users": b"https://" + b"a" * 1_000_000,
    "quotes": b'://:"' * 200_000,
    "passwords": b"https://a:" + b'"' * 1_000_000,
    "spaces": b"<html><title>" + b" " * 1_000_000,
    "lines": b"x\n" * 500_000,
    "nested": b'{"error":' * 100_000,
    "arrays": b'{"error":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "texts": json.dumps({"errors": ["x\n" * 100] * 4000}).encode(),
    "one text": json.dumps({"error": "\x1b" * 150_000}).encode(),
    "numbers": b"9" * 1_000_000,
    "names": json.dumps({"details": {f"a{number}": "b" for number in range(40_000)}}).encode(),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_error_body_takes_no_time_that_grows_faster_than_it(flaky, sending, body):
    flaky.plan = [status(404, body[: 1 << 20])]
    started_at = time.process_time()
    with pytest.raises(NotFoundError) as caught:
        sending.get("es1")
    assert str(caught.value)
    assert time.process_time() - started_at < 3


def test_a_deadline_that_cuts_the_last_attempt_off_raises_the_error_before(flaky, client):
    flaky.plan = [status(503, {"error": "Down for repairs"}), *[hang] * 5]
    with pytest.raises(ServerError, match="Down for repairs") as caught:
        client.with_options(deadline=0.7, timeout=None).get("es1")
    assert [note for note in caught.value.__notes__ if "Gave up after 2 attempts in" in note]


def test_a_host_that_does_not_accept_connections_fails_after_the_connect_timeout(single_node):
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
        started_at = time.monotonic()
        with pytest.raises(RequestTimeoutError, match="no connection in time"):
            client.create_single_node(**single_node)
        assert time.monotonic() - started_at < 2


@pytest.mark.parametrize(
    "options",
    [{"timeout": math.inf, "deadline": None}, {"timeout": None, "deadline": 1e12}, {"connect_timeout": 1e300}],
)
def test_timeouts_longer_than_sockets_take_are_no_limit(flaky, client, options):
    assert client.with_options(**options).get("es1").id == "es1"


def test_retries_are_reported_to_the_hooks_of_stamina(flaky, client, no_backoff):
    """All of them, the first one too, with what caused them."""
    reported = []
    set_on_retry_hooks([reported.append])
    flaky.plan = [drop, status(503)]
    try:
        client.get("es1")
    finally:
        set_on_retry_hooks(None)
    assert [(details.name, details.retry_num) for details in reported] == [("gradient", 1), ("gradient", 2)]
    assert [type(details.caused_by).__name__ for details in reported] == ["RequestFailedError", "ServerError"]


def test_attempts_are_logged_at_debug_and_retries_at_info_in_one_line_each(flaky, client, caplog):
    flaky.plan = [status(503, {"error": "restarting\nWARNING: not a line of ours"})]
    with caplog.at_level(logging.DEBUG):
        client.get("es1")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "gradient"]
    assert [level for level, _ in lines] == ["DEBUG", "INFO", "DEBUG"]
    assert "restarting" in lines[1][1]
    assert not [line for _, line in lines if "\n" in line]
    assert "the next one is in" in lines[1][1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_response_hook_of_the_user_that_raises_for_a_status_changes_nothing(flaky):
    """The error is that of this package, and transient statuses are retried."""
    flaky.plan = [status(503), status(404, {"error": "Gone"})]
    with (
        httpx.Client(event_hooks={"response": [httpx.Response.raise_for_status]}) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own, max_attempts=3) as client,
        pytest.raises(NotFoundError),
    ):
        client.get("es1")
    assert len(flaky.requests) == 2
