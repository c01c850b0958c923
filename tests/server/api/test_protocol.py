"""HTTP in unusual and in broken forms, byte by byte over a socket."""

import contextlib
import json
import socket
import threading

import pytest

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
PATIENCE = 20
MIB = 2**20


@pytest.fixture
def connect(gradient_server):
    """Open connections; all are closed in the end."""
    with contextlib.ExitStack() as stack:

        def connection():
            address = ("127.0.0.1", int(gradient_server.url.rpartition(":")[2]))
            return stack.enter_context(socket.create_connection(address, timeout=PATIENCE))

        yield connection


def request(method, path, *headers, body=b"", key="gradient-local"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {key}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def read_answer(reader):
    """One answer: its status, its headers, its body."""
    status = int(reader.readline().split()[1])
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if status == 100:
        return status, headers, b""
    length = headers.get("content-length")
    return status, headers, reader.read() if length is None else reader.read(int(length))


def answer_to(connection, sent):
    connection.sendall(sent)
    with connection.makefile("rb") as reader:
        return read_answer(reader)


def assert_error(answered, status):
    given, headers, raw = answered
    assert given == status, answered
    assert headers["content-type"] == "application/json"
    body = json.loads(raw)
    assert set(body) == {"error", "details"}
    assert "gradient-local" not in raw.decode()


def assert_malformed(answered):
    """uvicorn's own answer, which repeats nothing of what was sent."""
    status, headers, raw = answered
    assert (status, headers["connection"]) == (400, "close")
    assert raw.removeprefix(b"1e\r\n").removesuffix(b"\r\n0\r\n\r\n") == b"Invalid HTTP request received."


LIST = request("GET", EXPERIMENTS)
JSON_TYPE = "Content-Type: application/json"
BROKEN = {
    "not HTTP": b"HELO\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": request("GET", EXPERIMENTS, "Host: again"),
    "a space in the path": request("GET", "/a b"),
    "letters with accents in the path": request("GET", "/é"),
    "NUL in the path": request("GET", "/\0"),
    "NUL in a header": request("GET", EXPERIMENTS, key="gradient-local\0"),
    "a header without a name": request("GET", EXPERIMENTS, ": value"),
    "a header without a colon": request("GET", EXPERIMENTS, "header"),
    "a space in a header's name": request("GET", EXPERIMENTS, "X Header: 1"),
    "a length that is none": request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: x"),
    "a negative length": request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: -1"),
    "two lengths": request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 1", "Content-Length: 2"),
    "a length of too many digits": request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: " + "9" * 30),
    "an unknown transfer encoding": request("POST", EXPERIMENTS, JSON_TYPE, "Transfer-Encoding: gzip"),
    "a chunk that is none": request("POST", EXPERIMENTS, JSON_TYPE, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n"),
    "a chunk that is none, and a wrong key": request(
        "POST", EXPERIMENTS, JSON_TYPE, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n", key="wrong"
    ),
    "a path without end": b"GET /" + b"a" * 20_000,
    "a header without end": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Header: " + b"a" * 20_000,
    "headers without end": request("GET", EXPERIMENTS, *[f"X-{number}: a" for number in range(2_000)])[:-2],
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_not_http(connect, sent):
    """It is answered with 400, and then the connection is closed."""
    connection = connect()
    connection.sendall(sent)
    with connection.makefile("rb") as reader:
        assert_malformed(read_answer(reader))
        assert reader.read() == b""


@pytest.mark.parametrize("key", ["gradient-local", "wrong"])
def test_a_chunk_that_is_none_when_the_answer_is_given_or_not(connect, key):
    """The second part of a body can be broken when the answer to the first is long sent; nothing is said about it."""
    connection = connect()
    headers = (JSON_TYPE, "Transfer-Encoding: chunked")
    connection.sendall(request("POST", EXPERIMENTS, *headers, key=key, body=b"2\r\n{}\r\n"))
    with connection.makefile("rb") as reader:
        if key == "wrong":
            assert_error(read_answer(reader), 403)
        connection.sendall(b"no chunk\r\n\r\n")
        if key != "wrong":
            assert_malformed(read_answer(reader))
        assert reader.read() == b""


def test_a_whole_request_and_half_a_broken_one(connect):
    """The whole one has its answer, and the broken one another."""
    connection = connect()
    connection.sendall(LIST + b"BROKEN\r\n\r\n")
    with connection.makefile("rb") as reader:
        assert read_answer(reader)[0] == 200
        assert_malformed(read_answer(reader))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_other_versions(connect, version):
    """HTTP/1.0 is answered, too, and needs no host."""
    sent = LIST.replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    assert answer_to(connect(), sent)[0] == 200


def test_requests_one_after_the_other_without_waiting(connect):
    """A hundred requests in one go have a hundred answers, in order."""
    connection = connect()
    connection.sendall(b"".join(request("GET", f"{EXPERIMENTS}?offset={number}") for number in range(100)))
    with connection.makefile("rb") as reader:
        offsets = [json.loads(read_answer(reader)[2])["meta"]["offset"] for _ in range(100)]
    assert offsets == list(range(100))


def test_an_upgrade_is_not_made(connect):
    """A web socket is not to be had here; the request is answered as if it had not asked."""
    headers = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13")
    assert answer_to(connect(), request("GET", EXPERIMENTS, *headers))[0] == 200


@pytest.fixture
def body(single_node_body):
    return json.dumps(single_node_body).encode()


def chunks(body, size):
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_body_in_chunks(connect, body, size):
    """A body needs no length, and may come in any pieces."""
    headers = (JSON_TYPE, "Transfer-Encoding: chunked")
    assert answer_to(connect(), request("POST", EXPERIMENTS, *headers, body=chunks(body, size)))[0] == 200


def test_a_body_without_a_length(connect):
    """Where nothing says that there is a body, there is none."""
    assert_error(answer_to(connect(), request("POST", EXPERIMENTS, JSON_TYPE)), 400)


@pytest.mark.parametrize(("key", "kind", "status"), [("wrong", JSON_TYPE, 403), ("gradient-local", "X: y", 415)])
def test_a_body_that_is_not_wanted(connect, body, key, kind, status):
    """Who is refused before the body is read can send it all the same, and go on."""
    connection = connect()
    headers = (kind, f"Content-Length: {len(body)}")
    connection.sendall(request("POST", EXPERIMENTS, *headers, key=key, body=body) + LIST)
    with connection.makefile("rb") as reader:
        assert_error(read_answer(reader), status)
        assert read_answer(reader)[0] == 200


@pytest.mark.parametrize(("key", "status"), [("wrong", 403), ("gradient-local", 200)])
def test_who_asks_before_sending_a_body(connect, body, key, status):
    """`Expect: 100-continue` is answered with 100 when the body is wanted, and with the error when it is not."""
    connection = connect()
    headers = (JSON_TYPE, f"Content-Length: {len(body)}", "Expect: 100-continue")
    connection.sendall(request("POST", EXPERIMENTS, *headers, key=key))
    with connection.makefile("rb") as reader:
        first = read_answer(reader)
        if status == 200:
            assert first[0] == 100
            connection.sendall(body)
            assert read_answer(reader)[0] == 200
        else:
            assert_error(first, status)


@pytest.mark.parametrize("part", [b"", b"{", b'{"name": "n"}'])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_who_goes_away_in_the_middle_of_a_body(connect, ask, part, reset):
    """Is forgotten; nothing has been created."""
    connection = connect()
    connection.sendall(request("POST", EXPERIMENTS, JSON_TYPE, "Content-Length: 1000", body=part))
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    assert ask("GET", EXPERIMENTS).body["data"] == []


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_a_body_that_is_too_large(connect, chunked):
    """413, and a client that does not look before it has sent everything can read it and go on."""
    body = b'{"name": "' + b"n" * 20 * MIB + b'"}'
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    connection = connect()
    sent = request("POST", EXPERIMENTS, JSON_TYPE, length, body=chunks(body, MIB) if chunked else body) + LIST
    sender = threading.Thread(target=connection.sendall, args=[sent])
    sender.start()
    with connection.makefile("rb") as reader:
        assert_error(read_answer(reader), 413)
        assert read_answer(reader)[0] == 200
    sender.join()


def test_a_large_body_that_is_not_wanted_need_not_be_sent(connect):
    """Who asks before sending is told."""
    headers = (JSON_TYPE, f"Content-Length: {20 * MIB}", "Expect: 100-continue")
    assert_error(answer_to(connect(), request("POST", EXPERIMENTS, *headers)), 413)


def test_a_body_that_is_just_not_too_large(connect, single_node_body):
    """8 MiB are taken, and a byte more is not."""
    body = json.dumps(single_node_body).encode().ljust(8 * MIB)
    for sent, status in ((body, 200), (body + b" ", 413)):
        headers = (JSON_TYPE, f"Content-Length: {len(sent)}")
        assert answer_to(connect(), request("POST", EXPERIMENTS, *headers, body=sent))[0] == status
