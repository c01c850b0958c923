"""HTTP in unusual and malformed forms, byte by byte over a socket."""

import contextlib
import json
import socket
import threading

import pytest

from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import raw_request, read_response, responses_to

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
MIB = 2**20


def response_to(connection, request):
    (response,) = responses_to(connection, request)
    return response


def assert_error(response, status):
    given, headers, raw = response
    assert given == status, response
    assert headers["content-type"] == "application/json"
    body = json.loads(raw)
    assert set(body) == {"error", "details"}
    assert "gradient-local" not in raw.decode()


def assert_malformed(response, status=400):
    """It is a response that repeats nothing of the request."""
    given, headers, raw = response
    assert (given, headers["connection"], headers["content-type"]) == (status, "close", "text/plain")
    assert raw == (b"Invalid HTTP request received." if status == 400 else b"Request Header Fields Too Large")
    assert_not_kept(headers)


def assert_not_kept(headers):
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


LIST = raw_request("GET", EXPERIMENTS)
JSON_TYPE = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
MALFORMED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + b"\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": raw_request("GET", EXPERIMENTS, "Host: again"),
    "NUL in a header": raw_request("GET", EXPERIMENTS, key="gradient-local\0"),
    "a header without a colon": raw_request("GET", EXPERIMENTS, "header"),
    "a length that is no number": raw_request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: x"),
    "two lengths": raw_request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 1", "Content-Length: 2"),
    "an unknown transfer encoding": raw_request("POST", EXPERIMENTS, JSON_TYPE, "Transfer-Encoding: gzip"),
    "a malformed chunk": raw_request("POST", EXPERIMENTS, JSON_TYPE, CHUNKED, body=b"zz\r\n{}\r\n"),
    "a malformed chunk, and a wrong key": raw_request(
        "POST", EXPERIMENTS, JSON_TYPE, CHUNKED, body=b"zz\r\n{}\r\n", key="wrong"
    ),
    "a length and chunks": raw_request(
        "POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n" + LIST
    ),
    "chunks and a length": raw_request("GET", EXPERIMENTS, "transfer-encoding: CHUNKED", "Content-Length: 0"),
    "chunks in HTTP/1.0": LIST.replace(b"HTTP/1.1", b"HTTP/1.0")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two transfer encodings": raw_request("POST", EXPERIMENTS, JSON_TYPE, CHUNKED, CHUNKED),
    "a transfer encoding in two lines": raw_request(
        "POST", EXPERIMENTS, JSON_TYPE, "Transfer-Encoding: a,\r\n chunked"
    ),
    "a space after the name of a header": raw_request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length : 5"),
    **{
        f"the length {length!r}": raw_request("POST", EXPERIMENTS, JSON_TYPE, f"Content-Length: {length}")
        for length in ("", "+5", "-5", "0x5", "5 5", "5,6", "5.0", "9" * 30)
    },
}
TOO_LARGE = {
    "a path without end": b"GET /" + b"a" * 20_000,
    "headers without end": raw_request("GET", EXPERIMENTS, *[f"X-{number}: a" for number in range(2_000)])[:-2],
    "a long path": raw_request("GET", f"{EXPERIMENTS}?{'a' * 20_000}"),
    "a long header": raw_request("GET", EXPERIMENTS, f"X: {'a' * 100_000}"),
    "spaces": raw_request("GET", EXPERIMENTS, f"X: {' ' * 20_000}a"),
    "many headers": raw_request("GET", EXPERIMENTS, *[f"X-{number}: a" for number in range(2_000)]),
    "a long header before a body": raw_request(
        "POST", EXPERIMENTS, f"X: {'a' * 17_000}", JSON_TYPE, "Content-Length: 2", body=b"{}"
    ),
}


@pytest.mark.parametrize(
    ("sent", "status"),
    [*((sent, 400) for sent in MALFORMED.values()), *((sent, 431) for sent in TOO_LARGE.values())],
    ids=[*MALFORMED, *TOO_LARGE],
)
def test_a_malformed_request_is_rejected_after_those_before_it_and_the_connection_is_closed(connect, sent, status):
    for before in (b"", LIST):
        connection = connect()
        connection.sendall(before + sent)
        with connection.makefile("rb") as reader:
            assert not before or read_response(reader)[0] == 200
            assert_malformed(read_response(reader), status)
            with contextlib.suppress(ConnectionResetError):  # what came after it has not been read
                assert reader.read() == b""


@pytest.mark.parametrize(("size", "status"), [(16_384, 403), (16_385, 431)])
def test_a_head_may_have_16_kib(connect, size, status):
    request = raw_request("GET", EXPERIMENTS, "X: ", key="wrong")
    request = request[:-4] + b"a" * (size - len(request)) + request[-4:]
    for pieces in (1, 3):
        connection = connect()
        for start in range(0, size, -(-size // pieces)):
            connection.sendall(request[start : start + -(-size // pieces)])
        with connection.makefile("rb") as reader:
            assert read_response(reader)[0] == status


def test_a_length_that_is_given_twice_alike_counts_once(connect):
    assert response_to(connect(), raw_request("GET", EXPERIMENTS, "Content-Length: 0", "Content-Length: 0"))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (LIST, 200),
        (raw_request("GET", EXPERIMENTS, key="wrong"), 403),
        (raw_request("GET", "/nothing"), 404),
        (raw_request("PATCH", EXPERIMENTS), 405),
        (raw_request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 2", body=b"{}"), 400),
        (raw_request("GET", "/jobs/logs?experimentId=es1", key="wrong"), 401),
        (raw_request("GET", EXPERIMENTS, host="evil.example"), 403),
        (raw_request("GET", "/_gradient/faults"), 200),
        (raw_request("GET", "/"), 303),
        (raw_request("GET", "/page/login"), 200),
        (raw_request("GET", "/page/experiments/es1/charts"), 401),
        (raw_request("GET", "/page/files/nothing"), 404),
    ],
)
def test_no_response_is_kept_in_a_cache_or_taken_for_a_page_that_it_is_not(connect, request_, status):
    given, headers, _ = response_to(connect(), request_)
    assert given == status
    assert_not_kept(headers)


def test_responses_with_faults_are_not_kept_in_a_cache(connect, gradient_server):
    for settings in ({"statuses": 503, "html": True}, {"statuses_after": 502, "html": False}, {"latency": 0}):
        with gradient_server.faults(**settings):
            assert_not_kept(response_to(connect(), LIST)[1])


@pytest.mark.parametrize("key", ["gradient-local", "wrong"])
def test_a_malformed_chunk_gets_400_unless_the_request_is_answered_already(connect, key):
    connection = connect()
    headers = (JSON_TYPE, CHUNKED)
    connection.sendall(raw_request("POST", EXPERIMENTS, *headers, key=key, body=b"2\r\n{}\r\n"))
    with connection.makefile("rb") as reader:
        if key == "wrong":
            assert_error(read_response(reader), 403)
        connection.sendall(b"no chunk\r\n\r\n")
        if key != "wrong":
            assert_malformed(read_response(reader))
        assert reader.read() == b""


def test_pipelined_requests_are_answered_in_order(connect):
    connection = connect()
    connection.sendall(b"".join(raw_request("GET", f"{EXPERIMENTS}?offset={number}") for number in range(100)))
    with connection.makefile("rb") as reader:
        offsets = [json.loads(read_response(reader)[2])["meta"]["offset"] for _ in range(100)]
    assert offsets == list(range(100))


@pytest.fixture
def body(single_node_body):
    return json.dumps(single_node_body).encode()


def chunks(body, size):
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 10_000])
def test_a_chunked_body_is_accepted(connect, body, size):
    sent = raw_request("POST", EXPERIMENTS, JSON_TYPE, CHUNKED, body=chunks(body, size))
    assert response_to(connect(), sent)[0] == 200


@pytest.mark.parametrize(("key", "kind", "status"), [("wrong", JSON_TYPE, 403), ("gradient-local", "X: y", 415)])
def test_a_rejected_request_may_send_its_body_and_the_connection_goes_on(connect, body, key, kind, status):
    connection = connect()
    headers = (kind, f"Content-Length: {len(body)}")
    connection.sendall(raw_request("POST", EXPERIMENTS, *headers, key=key, body=body) + LIST)
    with connection.makefile("rb") as reader:
        assert_error(read_response(reader), status)
        assert read_response(reader)[0] == 200


@pytest.mark.parametrize(("key", "status"), [("wrong", 403), ("gradient-local", 200)])
def test_expect_100_continue_is_answered_with_100_or_the_error(connect, body, key, status):
    connection = connect()
    headers = (JSON_TYPE, f"Content-Length: {len(body)}", "Expect: 100-continue")
    connection.sendall(raw_request("POST", EXPERIMENTS, *headers, key=key))
    with connection.makefile("rb") as reader:
        first = read_response(reader)
        if status == 200:
            assert first[0] == 100
            connection.sendall(body)
            assert read_response(reader)[0] == 200
        else:
            assert_error(first, status)


def test_a_body_that_is_announced_too_large_is_not_waited_for(connect):
    headers = (JSON_TYPE, f"Content-Length: {MIB + 1}", "Expect: 100-continue")
    assert_error(response_to(connect(), raw_request("POST", EXPERIMENTS, *headers)), 413)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_client_that_disconnects_within_a_body_has_no_effect(connect, ask, reset):
    connection = connect()
    connection.sendall(raw_request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 1000", body=b'{"name": "n"}'))
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    assert ask("GET", EXPERIMENTS).body["data"] == []


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_a_body_that_is_too_large_gets_413_and_the_connection_goes_on(connect, chunked):
    body = b'{"name": "' + b"n" * 20 * MIB + b'"}'
    length = CHUNKED if chunked else f"Content-Length: {len(body)}"
    connection = connect()
    sent = raw_request("POST", EXPERIMENTS, JSON_TYPE, length, body=chunks(body, MIB) if chunked else body) + LIST
    sender = threading.Thread(target=connection.sendall, args=[sent])
    sender.start()
    with connection.makefile("rb") as reader:
        assert_error(read_response(reader), 413)
        assert read_response(reader)[0] == 200
    sender.join()


def test_a_body_of_1_mib_is_accepted_and_a_byte_more_is_refused_as_the_contract_says(
    connect, single_node_body, contract
):
    body = json.dumps(single_node_body).encode().ljust(MIB)
    headers = (JSON_TYPE, f"Content-Length: {MIB}")
    assert response_to(connect(), raw_request("POST", EXPERIMENTS, *headers, body=body))[0] == 200
    example = contract["components"]["responses"]["TooLarge"]["content"]["application/json"]["examples"]["large"]
    for path, method in ((EXPERIMENTS, "POST"), ("/_gradient/faults", "PUT")):
        headers = (JSON_TYPE, f"Content-Length: {MIB + 1}")
        response = response_to(connect(), raw_request(method, path, *headers, body=body + b" "))
        assert_error(response, 413)
        assert json.loads(response[2]) == example["value"]
        assert "1 MiB" in example["value"]["details"]
