"""Responses that are broken below JSON, byte by byte on a real socket."""

import gzip
import json
import socket
import threading

import httpx
import pytest
import stamina

from gradient import ExperimentsClient, GradientSdkError, ServerError
from tests.client.flaky import EXPERIMENT

BODY = json.dumps(EXPERIMENT).encode()
PACKED = gzip.compress(BODY)


def answer(body, *headers, status=b"HTTP/1.1 200 OK", length=None):
    # A connection that the client takes for open might break before the next request, and cost an attempt.
    lines = [status, b"Content-Length: %d" % (len(body) if length is None else length), b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = {
    "no gzip": answer(BODY, b"Content-Encoding: gzip"),
    "half of gzip": answer(PACKED[:-20], b"Content-Encoding: gzip"),
    "no deflate": answer(b"\xff" * 20, b"Content-Encoding: deflate"),
    "Latin-1": answer(BODY.replace(b"success", b"succ\xe8s")),
    "too deep": answer(b"[" * 100_000),
    "nothing": answer(b""),
    "a chunk that is cut off": CHUNKED + b"100\r\n{",
    "no chunk": CHUNKED + b"one\r\n{",
    "more than was promised": answer(BODY, length=5),
    "less than was promised": answer(BODY, length=1000),
    "two lengths": answer(BODY, b"Content-Length: 3"),
    "a header that is none": answer(BODY, b"X-\x00: 1"),
    "a header without end": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
    "a status that is none": answer(BODY, status=b"HTTP/1.1 99 Odd"),
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a protocol that nobody asked for": b"HTTP/1.1 101 Odd\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}
ODD = {
    "gzip": answer(PACKED, b"Content-Encoding: gzip"),
    "an encoding that nobody knows": answer(BODY, b"Content-Encoding: none"),
    "UTF-16": answer(BODY.decode().encode("utf-16")),
    "a charset that is none": answer(BODY, b"Content-Type: application/json; charset=none"),
    "bytes that are no text in a header": answer(BODY, b"X-Request-Id: \xff\xfe"),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "answers before the answer": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + answer(BODY),
}


class RawServer:
    """Answers every connection with the next of its answers, byte by byte, and closes it."""

    def __init__(self):
        self.answers = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(self.answers.pop(0))
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(65536)
                except OSError:
                    continue

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def raw():
    server = RawServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def client(raw):
    with httpx.Client() as own, ExperimentsClient("a-key", base_url=raw.url, http_client=own, timeout=5) as client:
        yield client


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_response_is_retried_and_an_error_of_this_package_where_it_stays(raw, client, broken):
    stamina.set_testing(True, attempts=3)
    try:
        raw.answers = [broken, broken, answer(BODY)]
        assert client.get("es1").id == "es1"
        assert raw.answers == []
        raw.answers = [broken] * 3
        with pytest.raises(GradientSdkError) as caught:
            client.get("es1")
        assert caught.value.retryable
        assert raw.answers == []
    finally:
        stamina.set_testing(False)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_unusual_response_is_read(raw, client, odd):
    raw.answers = [odd]
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
def test_a_retry_after_date_is_relative_to_the_clock_of_the_server(raw, client, headers, seconds):
    """A wrong clock turns a pause of a minute neither into a year nor into none."""
    raw.answers = [answer(b"{}", *headers, status=b"HTTP/1.1 503 Busy")]
    with pytest.raises(ServerError) as caught:
        client.with_options(max_attempts=1).get("es1")
    assert caught.value.retry_after == seconds
