"""The push gateway of a run over HTTP: what it keeps, and what it refuses."""

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from gradient_server.runners.supervised.log_file import LogReader, LogWriter
from gradient_server.runners.supervised.push_gateway import PushGateway

PATH = "/metrics/job/es1"


@pytest.fixture
def files(tmp_path):
    return [tmp_path / "0.pushed", tmp_path / "1.pushed"]


@pytest.fixture
def gateway(files):
    with PushGateway([LogWriter(path) for path in files]) as gateway:
        yield gateway
        gateway.shutdown()


@pytest.fixture
def push(gateway):
    """Send a request, and return the status, the reason phrase and the text of the response."""

    def push(body="loss 0.5\n", *, method="PUT", path=PATH, node=0, prefix=None, headers=None):
        url = urlsplit(gateway.url(node))
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
        connection.request(method, (url.path if prefix is None else prefix) + path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, response.reason, text

    return push


def kept(path):
    return [json.loads(message) for _, _, message in LogReader(path).after(0)]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_was_pushed_is_in_the_file_of_the_node_when_the_push_is_answered(push, files, method):
    for node in (0, 1):
        assert push(f"loss {node}\nacc 1\n", method=method, path=f"{PATH}/step/3", node=node)[0] == 200
        assert kept(files[node]) == [["loss", 3, node], ["acc", 3, 1]]


def test_parallel_pushes_are_all_kept(push, files):
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _, _ in pool.map(lambda n: push(f"loss {n}\n" * 50), range(40))} == {200}
    assert sorted(value for _, _, value in kept(files[0])) == sorted(float(n) for n in range(40) for _ in range(50))


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"body": "loss"}, 400),
        ({"body": b"loss\xff 1"}, 400),
        ({"path": "/metrics"}, 400),
        ({"prefix": ""}, 404),
        ({"prefix": "/x/0"}, 404),
        ({"method": "DELETE", "prefix": "/x/0"}, 404),
        ({"headers": {"Content-Length": "x"}}, 411),
        ({"headers": {"Content-Length": str(1024 * 1024 + 1)}}, 413),
        ({"headers": {"Content-Encoding": "gzip"}}, 415),
        ({"headers": {"Content-Type": "application/vnd.google.protobuf; encoding=delimited"}}, 415),
        ({"method": "GET"}, 501),
    ],
    ids=str,
)
def test_what_is_no_push_is_refused_and_nothing_is_kept(push, files, request_of, status):
    assert push(**request_of)[0] == status
    assert kept(files[0]) == []


def test_an_error_names_the_line_where_urllib_shows_it_and_nothing_of_the_push_is_kept(push, files):
    status, reason, text = push("loss 1\nacc é\n".encode())
    assert (status, reason) == (400, "line 2: the value is no number: acc \\xe9")
    assert text == f"{reason}\n"
    assert kept(files[0]) == []


def test_a_push_that_breaks_off_is_not_kept(gateway, push, files):
    url = urlsplit(gateway.url(0))
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(f"PUT {url.path}{PATH} HTTP/1.1\r\nContent-Length: 100\r\n\r\nloss 1\n".encode())
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(100)
    assert push("loss 2\n")[0] == 200
    assert kept(files[0]) == [["loss", None, 2]]


def test_deleting_keeps_what_was_pushed(push, files):
    push()
    assert push(method="DELETE")[0] == 202
    assert kept(files[0]) == [["loss", None, 0.5]]


def test_a_closed_gateway_keeps_nothing(gateway, push, files):
    gateway.close()
    assert push()[:2] == (503, "the metrics cannot be kept: the run has ended")
    assert kept(files[0]) == []


def test_each_run_has_an_address_of_its_own(gateway, push, files, tmp_path):
    with PushGateway([LogWriter(tmp_path / "other")]) as other:
        assert push(prefix=urlsplit(other.url(0)).path)[0] == 404
        other.shutdown()
    assert push()[0] == 200
