"""The login: whoever has the API key gets a session, and nobody else sees anything."""

import socket
from contextlib import closing
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest

from gradient_server import LocalServer
from gradient_server.dashboard.app import Sessions
from tests.server.conftest import RawClient
from tests.server.dashboard.conftest import PATIENCE, Visitor


@pytest.mark.parametrize("path", ["/", "/page/experiments/{}", "/?offset=100"])
def test_without_a_session_every_page_leads_to_the_login_and_back(stranger, run, path):
    handle = run()
    url = path.format(handle)
    page = stranger.get(url)
    assert (page.status, page.body) == (303, "")
    login = stranger.get(page.headers["Location"])
    assert login.status == 200
    assert "API key" in login.text
    assert handle not in login.body.replace(f'value="{url}"', "")
    assert stranger.log_in(url).headers["Location"] == url
    assert stranger.get(url).status == 200


@pytest.mark.parametrize("part", ["updates", "charts"])
def test_without_a_session_scripts_are_refused(stranger, run, part):
    page = stranger.get(f"/page/experiments/{run()}/{part}")
    assert page.status == 401
    assert set(page.json) == {"error"}


@pytest.mark.parametrize(
    ("form", "key"),
    [({"key": key, "to": "/"}, key) for key in ("", "wrong", "GRADIENT-LOCAL", "gradient-local-", "é", "\x00")]
    + [
        (body, "")
        for body in (b"", b"\xff\xfe", b"key", b"=&=&=", b"&" * 5000, b"key=%ED%A0%80", b"key=" + b"x" * 10**6)
    ],
)
def test_a_wrong_key_is_refused_and_not_repeated_in_the_page(stranger, form, key):
    page = stranger("POST", "/page/login", form)
    assert page.status == 403
    assert "That is not the key of this server." in page.text
    assert "Set-Cookie" not in page.headers
    assert not key or key not in page.text.replace(" wrong", "")
    assert stranger.get("/").status == 303


def test_a_form_that_is_too_large_is_refused_before_it_is_read(gradient_server):
    host = urlsplit(gradient_server.url)
    head = f"POST /page/login HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: 1000000000\r\n\r\n"
    with socket.create_connection((host.hostname, host.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + b"key=" + b"x" * 20_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")


def test_wrong_keys_at_the_login_and_elsewhere_count_against_one_limit():
    key = "a key that is long enough"
    with LocalServer(api_key=key) as server, closing(RawClient(server.url, "guess")) as guesser:
        stranger = Visitor(server.url, "guess")
        for _ in range(10):
            assert stranger.log_in().status == 403
            guesser("GET", "/experiments/v1/experiments/").assert_error(403)
        refused = stranger.log_in()
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert "too many wrong keys" in refused.text.lower()
        guesser("GET", "/experiments/v1/experiments/").assert_error(429)
        assert Visitor(server.url, key).log_in().status == 303


def test_the_cookie_is_a_random_token_that_scripts_and_other_sites_cannot_use(stranger, gradient_server):
    page = stranger.log_in()
    (cookie,) = SimpleCookie(page.headers["Set-Cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert cookie["domain"] == cookie["expires"] == cookie["max-age"] == ""
    assert len(cookie.value) > 40
    assert gradient_server.api_key not in cookie.value + page.headers["Location"] + page.body
    assert stranger.log_in().headers["Set-Cookie"] != page.headers["Set-Cookie"]
    assert gradient_server.api_key not in stranger.get("/").body


def test_a_session_does_not_open_the_api_nor_the_key_the_pages(stranger, gradient_server):
    assert stranger("GET", "/", **{"X-API-Key": gradient_server.api_key}).status == 303
    stranger.log_in()
    assert stranger.get("/experiments/v1/experiments/").status == 403
    assert stranger.get("/jobs/logs?experimentId=es1").status == 401


def test_logging_out_ends_the_session_for_everyone_with_its_token(visitor):
    cookies = dict(visitor.cookies)
    assert visitor.get("/").status == 200
    page = visitor("POST", "/page/logout")
    assert (page.status, page.headers["Location"]) == (303, "/page/login")
    visitor.cookies = cookies
    assert visitor.get("/").status == 303


def test_the_login_page_leads_on_at_once_with_a_session(visitor):
    assert visitor.get("/page/login?to=/").headers["Location"] == "/"


@pytest.mark.parametrize(
    "to",
    ["//example.com/", "https://example.com/", "/\\example.com", "javascript:alert(1)", "/page/logout", "/?to=//x", ""],
)
def test_the_login_leads_only_to_own_pages(stranger, to):
    assert stranger.log_in(to).headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/", "/page/login", "/page/logout", "/page/files/page.js", "/page/experiments/es1"])
def test_only_login_and_logout_accept_anything_but_get(visitor, path):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        if method != "POST" or path not in ("/page/login", "/page/logout"):
            assert visitor(method, path).status == 405


def test_servers_on_other_ports_have_sessions_of_their_own(visitor):
    with LocalServer() as other:
        elsewhere = Visitor(other.url, other.api_key)
        elsewhere.cookies = visitor.cookies
        assert elsewhere.get("/").status == 303
        elsewhere.log_in()
        assert elsewhere.get("/").status == visitor.get("/").status == 200


def test_a_session_ends_after_twelve_hours_without_use():
    now = 0.0
    sessions = Sessions(lambda: now)
    used, unused = sessions.start(), sessions.start()
    for _ in range(3):
        now += 12 * 3600
        assert sessions.use(used)
    assert not sessions.use(unused)
    now += 12 * 3600 + 1
    assert not sessions.use(used)


def test_of_more_than_a_thousand_sessions_the_one_that_was_used_longest_ago_ends():
    sessions = Sessions(lambda: 0.0)
    first, second = sessions.start(), sessions.start()
    assert sessions.use(first)
    others = [sessions.start() for _ in range(999)]
    assert [sessions.use(token) for token in (first, second)] == [True, False]
    assert all(map(sessions.use, others))
