"""HTTP in unusual and malformed forms, byte by byte over a socket."""

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


def assert_malformed(response):
    """It is uvicorn's own response, which repeats nothing of the request."""
    status, headers, raw = response
    assert (status, headers["connection"]) == (400, "close")
    assert raw.removeprefix(b"1e\r\n").removesuffix(b"\r\n0\r\n\r\n") == b"Invalid HTTP request received."


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
    "a path without end": b"GET /" + b"a" * 20_000,
    "headers without end": raw_request("GET", EXPERIMENTS, *[f"X-{number}: a" for number in range(2_000)])[:-2],
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_gets_400_after_those_before_it_and_the_connection_is_closed(connect, sent):
    connection = connect()
    connection.sendall(LIST + sent)
    with connection.makefile("rb") as reader:
        assert read_response(reader)[0] == 200
        assert_malformed(read_response(reader))
        assert reader.read() == b""


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
