"""Web pages in a browser on the machine of a server, and names that others have resolve to it: over real sockets."""

import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest

from gradient_server import LocalServer

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
FAULTS = "/_gradient/faults"
PATIENCE = 20


def statuses(server, *requests):
    """What these requests are answered on one connection: their statuses."""
    parts = urlsplit(server.url)
    found = []
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall("".join(requests).encode("latin-1"))
        with connection.makefile("rb") as reader:
            for _ in requests:
                found.append(int(reader.readline().split()[1]))
                length = 0
                while (line := reader.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                reader.read(length)
    return found


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "", "192.0.2.7"])
@pytest.mark.parametrize("path", [EXPERIMENTS, "/jobs/logs?experimentId=es1", FAULTS, "/nothing"])
def test_a_name_that_is_not_ours(ask, host, path):
    """DNS rebinding: whatever is asked for, and with the right key, too, the answer is 403 and names what was wrong."""
    answered = ask("GET", path, headers={"Host": host})
    answered.assert_error(403)
    assert repr(host) in answered.body["details"]
    assert "--allow-host" in answered.body["details"]
    assert ask("GET", EXPERIMENTS).status == 200  # on the same connection


def test_nothing_is_done_for_a_foreign_request(ask, single_node_body):
    """An experiment that such a request creates is not there."""
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        ask("POST", EXPERIMENTS + "run/", single_node_body, headers).assert_error(403)
    assert ask("GET", EXPERIMENTS).body["data"] == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "file://"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_a_page_of_another_origin(ask, origin, method):
    """It is refused, also where the browser asks first whether it may; nothing in the answer allows it anything."""
    answered = ask(method, EXPERIMENTS, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    answered.assert_error(403)
    assert not [name for name in answered.headers if name.lower().startswith("access-control-")]


def test_two_origins(gradient_server):
    """One that is ours does not hide one that is not."""
    host = gradient_server.url.removeprefix("http://")
    head = f"GET {EXPERIMENTS} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {gradient_server.api_key}\r\n"
    ours, theirs = f"Origin: http://{host}\r\n", "Origin: http://evil.example\r\n"
    assert statuses(gradient_server, f"{head}{ours}\r\n", f"{head}{ours}{theirs}\r\n", f"{head}{theirs}{ours}\r\n") == [
        200,
        403,
        403,
    ]


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200), ("new", 403)]
)
def test_what_a_browser_says_of_the_page(ask, site, status):
    """Images, forms and links of other sites and other ports are refused; addresses that were typed are not."""
    assert ask("GET", EXPERIMENTS, headers={"Sec-Fetch-Site": site}).status == status


def test_our_own_pages(ask, gradient_server):
    """A page that comes from the server may ask it."""
    headers = {"Origin": gradient_server.url, "Sec-Fetch-Site": "same-origin"}
    assert ask("GET", EXPERIMENTS, headers=headers).status == 200


def test_the_address_of_another_place_in_the_request_line(gradient_server):
    """A request as for a proxy is none for us."""
    head = f"Host: localhost\r\nX-API-Key: {gradient_server.api_key}\r\n\r\n"
    assert statuses(gradient_server, f"GET http://evil.example{EXPERIMENTS} HTTP/1.1\r\n{head}") == [404]


def test_long_and_odd_values(ask):
    """What is repeated of them is short, and harmless text."""
    for value in ("e" * 9000, '"><script>alert(1)</script>', "\xe9\xff"):
        answered = ask("GET", EXPERIMENTS, headers={"Host": value})
        answered.assert_error(403)
        assert len(json.dumps(answered.body)) < 400
        assert answered.headers["Content-Type"] == "application/json"


def test_faults_on_purpose_do_not_let_it_in(ask, gradient_server):
    """Whatever else goes wrong, a foreign request is refused, and does not use a fault up."""
    with gradient_server.faults(statuses=503, times=1):
        ask("GET", EXPERIMENTS, headers={"Host": "evil.example"}).assert_error(403)
        assert ask("GET", EXPERIMENTS).status == 503


def test_names_that_are_allowed(launch):
    """`--allow-host` lets them in, as often as it is given, and no others."""
    process = launch("--port", "0", "--allow-host", "gradient.example.com", "--allow-host", "box")
    url = process.stdout.readline().split(" at ")[1].split()[0]
    parts = urlsplit(url)
    for host, status in (("gradient.example.com", 200), ("BOX:443", 200), ("localhost", 200), ("example.com", 403)):
        with contextlib.closing(socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)) as connection:
            head = f"GET {EXPERIMENTS} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: gradient-local\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(9000).startswith(b"HTTP/1.1 %d " % status), host


def test_a_server_that_listens_everywhere():
    """It answers to every address that the machine may have, and to no name but localhost."""
    with LocalServer(host="0.0.0.0") as server:
        port = int(server.url.rpartition(":")[2])
        heads = [
            f"GET {EXPERIMENTS} HTTP/1.1\r\nHost: {host}:{port}\r\nX-API-Key: gradient-local\r\n\r\n"
            for host in ("127.0.0.1", "0.0.0.0", "192.0.2.7", "localhost", "evil.example")
        ]
        assert statuses(server, *heads) == [200, 200, 200, 200, 403]


def test_names_that_cannot_be_allowed():
    """A server is not made."""
    with pytest.raises(ValueError, match="without a port"):
        LocalServer(allow_hosts=["box:8090"])
