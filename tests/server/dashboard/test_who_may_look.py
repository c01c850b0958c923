"""The key of the page: who has it gets a session, and nobody else sees anything."""

import socket
from contextlib import closing
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest

from gradient_server import LocalServer
from gradient_server.api.security import MAX_INCORRECT_KEYS as MOST_WRONG
from gradient_server.api.security import RATE_LIMIT_WINDOW
from gradient_server.dashboard.sessions import MOST, SECONDS, Sessions
from tests.server.conftest import RawClient
from tests.server.dashboard.conftest import PATIENCE, Visitor


@pytest.mark.parametrize("path", ["/", "/page/experiments/{}", "/?offset=100"])
def test_without_a_session_there_is_the_login(stranger, run, path):
    """It is what every page leads to, and what leads on to that page."""
    handle = run()
    seen = stranger.get(path.format(handle))
    assert (seen.status, seen.body) == (303, "")
    login = stranger.get(seen.headers["Location"])
    assert login.status == 200
    assert "API key" in login.text
    assert handle not in login.body.replace(f'value="{path.format(handle)}"', "")
    assert stranger.log_in(path.format(handle)).headers["Location"] == path.format(handle)
    assert stranger.get(path.format(handle)).status == 200


@pytest.mark.parametrize("part", ["news", "curves"])
def test_scripts_without_a_session_are_refused(stranger, run, part):
    """They have no use for a form."""
    seen = stranger.get(f"/page/experiments/{run()}/{part}")
    assert seen.status == 401
    assert set(seen.json) == {"error"}


@pytest.mark.parametrize("key", ["", "wrong", "GRADIENT-LOCAL", "gradient-local-", "é", "\x00", "\ud800"])
def test_a_wrong_key_is_said_to_be_wrong(stranger, key):
    """And opens nothing; what was given is not written into the page."""
    form = b"key=%ED%A0%80" if key == "\ud800" else {"key": key, "to": "/"}
    seen = stranger("POST", "/page/login", form)
    assert seen.status == 403
    assert "That is not the key of this server." in seen.text
    assert "Set-Cookie" not in seen.headers
    assert not key or key not in seen.text.replace(" wrong", "")
    assert stranger.get("/").status == 303


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"key", b"=&=&=", b"&" * 5000, b"key=" + b"x" * 1_000_000])
def test_what_is_no_form_of_the_page(stranger, body):
    """Is a wrong key, however large it is."""
    assert stranger("POST", "/page/login", body).status == 403


def test_a_form_that_is_too_large_is_not_read(gradient_server):
    """The answer comes before the rest of it: a stranger cannot fill the memory of the server."""
    place = urlsplit(gradient_server.url)
    head = f"POST /page/login HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 1000000000\r\n\r\n"
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + b"key=" + b"x" * 20_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


def test_guessing_keys_at_the_login():
    """After some wrong keys, at the login and elsewhere, the page says to wait; the right one is let in."""
    key = "a key that is long enough"
    with LocalServer(api_key=key) as server, closing(RawClient(server.url, "guess")) as guesser:
        stranger = Visitor(server.url, "guess")
        for _ in range(MOST_WRONG // 2):
            assert stranger.log_in().status == 403
            guesser("GET", "/experiments/v1/experiments/").assert_error(403)
        refused = stranger.log_in()
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= RATE_LIMIT_WINDOW
        assert "too many wrong keys" in refused.text.lower()
        guesser("GET", "/experiments/v1/experiments/").assert_error(429)
        assert Visitor(server.url, key).log_in().status == 303


def test_the_key_is_nowhere_but_in_the_form(stranger, gradient_server):
    """The cookie is a random token, which scripts do not see and other sites do not send."""
    seen = stranger.log_in()
    (cookie,) = SimpleCookie(seen.headers["Set-Cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert cookie["domain"] == cookie["expires"] == cookie["max-age"] == ""
    assert len(cookie.value) > 40
    assert gradient_server.api_key not in cookie.value + seen.headers["Location"] + seen.body
    assert stranger.log_in().headers["Set-Cookie"] != seen.headers["Set-Cookie"]
    assert gradient_server.api_key not in stranger.get("/").body


def test_the_key_of_the_interface_does_not_open_the_page(stranger, gradient_server):
    """Nor does a session open the interface: a page that somebody else makes cannot use it to change anything."""
    key = {"X-API-Key": gradient_server.api_key}
    assert stranger("GET", "/", **key).status == 303
    stranger.log_in()
    assert stranger.get("/experiments/v1/experiments/").status == 403
    assert stranger.get("/jobs/logs?experimentId=es1").status == 401


def test_logging_out_ends_the_session(visitor):
    """For everybody who has its token."""
    kept = dict(visitor.cookies)
    assert visitor.get("/").status == 200
    seen = visitor("POST", "/page/logout")
    assert (seen.status, seen.headers["Location"]) == (303, "/page/login")
    visitor.cookies = kept
    assert visitor.get("/").status == 303


def test_who_is_in_is_not_asked_again(visitor):
    """The login leads on at once."""
    assert visitor.get("/page/login?to=/").headers["Location"] == "/"


@pytest.mark.parametrize(
    "to",
    ["//example.com/", "https://example.com/", "/\\example.com", "javascript:alert(1)", "/page/logout", "/?to=//x", ""],
)
def test_the_login_leads_nowhere_else(stranger, to):
    """Whatever an address says."""
    assert stranger.log_in(to).headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/", "/page/login", "/page/logout", "/page/files/page.js", "/page/experiments/es1"])
def test_only_login_and_logout_take_anything(visitor, path):
    """Every other method is refused, everywhere."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        if method != "POST" or path not in ("/page/login", "/page/logout"):
            assert visitor(method, path).status == 405


def test_servers_beside_each_other_have_sessions_of_their_own(visitor):
    """Browsers send cookies to every port of a machine; a login here does not end one there."""
    with LocalServer() as other:
        elsewhere = Visitor(other.url, other.api_key)
        elsewhere.cookies = visitor.cookies
        assert elsewhere.get("/").status == 303
        elsewhere.log_in()
        assert elsewhere.get("/").status == visitor.get("/").status == 200


def test_a_session_that_nobody_uses_ends():
    """One that is used goes on."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    used, unused = sessions.begin(), sessions.begin()
    for _ in range(3):
        now[0] += SECONDS / 2
        assert sessions.is_there(used)
    assert not sessions.is_there(unused)
    assert not sessions.is_there(unused)


def test_there_are_not_too_many_sessions():
    """The one that was used longest ago gives way."""
    sessions = Sessions(lambda: 0.0)
    first, second = sessions.begin(), sessions.begin()
    assert sessions.is_there(first)
    others = [sessions.begin() for _ in range(MOST - 1)]
    assert [sessions.is_there(token) for token in (first, second)] == [True, False]
    assert all(map(sessions.is_there, others))
