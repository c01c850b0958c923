"""Responses that are broken below JSON, byte by byte on a real socket."""

import gzip
import json

import httpx
import pytest
import stamina

from gradient import ExperimentsClient, GradientSdkError, ServerError
from tests.client.flaky import EXPERIMENT, FlakyServer

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
    "no chunk": CHUNKED + b"one\r\n{",
    "more than was promised": response(BODY, length=5),
    "less than was promised": response(BODY, length=1000),
    "two lengths": response(BODY, b"Content-Length: 3"),
    "a header that is none": response(BODY, b"X-\x00: 1"),
    "a header without end": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
    "a status that is none": response(BODY, status=b"HTTP/1.1 99 Odd"),
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a protocol that nobody asked for": b"HTTP/1.1 101 Odd\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}
UNUSUAL = {
    "gzip": response(PACKED, b"Content-Encoding: gzip"),
    "an encoding that nobody knows": response(BODY, b"Content-Encoding: none"),
    "UTF-16": response(BODY.decode().encode("utf-16")),
    "a charset that is none": response(BODY, b"Content-Type: application/json; charset=none"),
    "bytes that are no text in a header": response(BODY, b"X-Request-Id: \xff\xfe"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + response(BODY),
}


@pytest.fixture(scope="module")
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def client(flaky):
    with httpx.Client() as own, ExperimentsClient("a-key", base_url=flaky.url, http_client=own, timeout=5) as client:
        yield client


def raw(content):
    """Send these bytes and close the connection."""

    def act(handler):
        handler.close_connection = True
        handler.wfile.write(content)

    return act


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_response_is_retried_and_an_error_of_this_package_where_it_stays(flaky, client, broken):
    stamina.set_testing(True, attempts=3)
    try:
        flaky.plan = [raw(broken), raw(broken), raw(response(BODY))]
        assert client.get("es1").id == "es1"
        assert flaky.plan == []
        flaky.plan = [raw(broken)] * 3
        with pytest.raises(GradientSdkError) as caught:
            client.get("es1")
        assert caught.value.retryable
        assert flaky.plan == []
    finally:
        stamina.set_testing(False)


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
