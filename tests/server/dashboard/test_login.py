"""The login: whoever has the API key gets a session, and nobody else sees anything."""

import os
import re
import socket
import time
from contextlib import closing
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request

from gradient_server import LocalServer
from gradient_server.dashboard.login import LoginLinks, login_link
from gradient_server.dashboard.sessions import Sessions, owner_of
from gradient_server.http_server import listen
from gradient_server.settings import DEFAULT_KEY
from tests.server.conftest import RawClient
from tests.server.dashboard.conftest import PATIENCE, Visitor


@pytest.mark.parametrize("path", ["/page/", "/page/experiments/{}", "/page/?offset=100"])
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
    [({"key": key, "to": "/page/"}, key) for key in ("", "wrong", "GRADIENT-LOCAL", "gradient-local-", "é", "\x00")]
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
    assert stranger.get("/page/").status == 303


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


@pytest.fixture
def link(gradient_server):
    """The path of a login link that was made now."""
    return login_link(gradient_server.url, gradient_server.api_key).removeprefix(gradient_server.url)


REFUSED_LINK = "This login link does not work any more: a link works once, within an hour"


def test_a_login_link_logs_in_once_and_leads_to_an_address_without_it(stranger, gradient_server, link):
    first = stranger.get(link)
    assert (first.status, first.headers["Location"], first.body) == (303, "/page/", "")
    assert stranger.get("/page/").status == 200
    assert stranger.get(link).status == 303  # whoever is logged in needs none
    second = Visitor(gradient_server.url, gradient_server.api_key)
    refused = second.get(link)
    assert refused.status == 403
    assert REFUSED_LINK in refused.text
    assert 'name="key"' in refused.body
    assert "token" not in refused.body
    assert second.get("/page/").status == 303


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: "x",
        lambda token: "...",
        lambda token: f"9{token}",
        lambda token: token[:-1],
        lambda token: f"{token}%00",
        lambda token: token[:-64] + "%C3%A9" * 64,
        lambda token: re.sub("^[0-9]+", "99999999999", token),
        lambda token: login_link("", "another key").rpartition("=")[2],
    ],
)
def test_a_forged_login_link_leads_to_the_login_form(stranger, link, change):
    address, _, token = link.rpartition("=")
    refused = stranger.get(f"{address}={change(token)}")
    assert refused.status == 403
    assert REFUSED_LINK in refused.text
    assert "Set-Cookie" not in refused.headers
    assert stranger.get(link).status == 303  # that it was made from goes on working


def test_a_login_link_works_for_an_hour(link):
    token = link.rpartition("=")[2]
    now = time.time() - 10
    links = LoginLinks(DEFAULT_KEY, lambda: now)
    now += 3600
    assert links.redeem(token, "this machine")
    other = login_link("", DEFAULT_KEY).rpartition("=")[2]
    now += 3600
    assert not links.redeem(other, "this machine")


def test_a_login_link_that_an_earlier_server_may_have_seen_is_refused(link):
    later = time.time() + 10
    assert not LoginLinks(DEFAULT_KEY, lambda: later).redeem(link.rpartition("=")[2], "this machine")


@pytest.mark.parametrize(("owner", "is_accepted"), [("user {}", True), ("192.0.2.7", True), ("user 1{}", False)])
def test_a_login_link_is_of_no_use_to_another_user_of_this_machine(owner, is_accepted):
    links = LoginLinks(DEFAULT_KEY)
    token = login_link("", DEFAULT_KEY).rpartition("=")[2]
    assert links.redeem(token, owner.format(os.getuid())) == is_accepted


def test_forged_login_links_count_as_wrong_keys():
    key = "a key that is long enough"
    with LocalServer(api_key=key) as server:
        stranger = Visitor(server.url, "guess")
        for _ in range(20):
            assert stranger.get("/page/login?token=1.2.3.4").status == 403
        refused = stranger.get("/page/login?token=1.2.3.4")
        assert refused.status == 429
        assert "too many wrong keys" in refused.text
        assert stranger.log_in().status == 429
        assert stranger.get(login_link("", key)).headers["Location"] == "/page/"  # the owner is never locked out


def test_the_cookie_is_a_random_token_that_scripts_and_other_sites_cannot_use(stranger, gradient_server):
    page = stranger.log_in()
    (cookie,) = SimpleCookie(page.headers["Set-Cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/page")
    assert cookie["domain"] == cookie["expires"] == cookie["max-age"] == ""
    assert len(cookie.value) > 40
    assert gradient_server.api_key not in cookie.value + page.headers["Location"] + page.body
    assert stranger.log_in().headers["Set-Cookie"] != page.headers["Set-Cookie"]
    assert gradient_server.api_key not in stranger.get("/page/").body


def test_a_session_does_not_open_the_api_nor_the_key_the_pages(stranger, gradient_server):
    assert stranger("GET", "/page/", **{"X-API-Key": gradient_server.api_key}).status == 303
    stranger.log_in()
    assert stranger.get("/experiments/v1/experiments/").status == 403
    assert stranger.get("/jobs/logs?experimentId=es1").status == 401


def test_logging_out_ends_the_session_for_everyone_with_its_token(visitor):
    cookies = dict(visitor.cookies)
    assert visitor.get("/page/").status == 200
    page = visitor("POST", "/page/logout")
    assert (page.status, page.headers["Location"]) == (303, "/page/login")
    visitor.cookies = cookies
    assert visitor.get("/page/").status == 303


def test_the_login_page_leads_on_at_once_with_a_session(visitor):
    assert visitor.get("/page/login?to=/page/").headers["Location"] == "/page/"


@pytest.mark.parametrize(
    "to",
    [
        "//example.com/",
        "https://example.com/",
        "/\\example.com",
        "javascript:alert(1)",
        "/page/logout",
        "/page/?to=//x",
        "/",
        "",
    ],
)
def test_the_login_leads_only_to_own_pages(stranger, to):
    assert stranger.log_in(to).headers["Location"] == "/page/"


@pytest.mark.parametrize(
    "path", ["/", "/page/", "/page/login", "/page/logout", "/page/files/page.js", "/page/experiments/es1"]
)
def test_only_login_and_logout_accept_anything_but_get(visitor, path):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        if method != "POST" or path not in ("/page/login", "/page/logout"):
            assert visitor(method, path).status == 405


def test_servers_on_other_ports_have_sessions_of_their_own(visitor):
    with LocalServer() as other:
        elsewhere = Visitor(other.url, other.api_key)
        elsewhere.cookies = visitor.cookies
        assert elsewhere.get("/page/").status == 303
        elsewhere.log_in()
        assert elsewhere.get("/page/").status == visitor.get("/page/").status == 200


def test_the_address_of_the_server_leads_to_the_list(visitor):
    """It is not the list itself: the cookie must not go to the servers on other ports of this machine."""
    for query in ("", "?offset=100"):
        page = visitor.get(f"/{query}")
        assert (page.status, page.headers["Location"]) == (303, f"/page/{query}")


def test_a_cookie_that_a_server_on_another_port_has_set_does_not_hide_the_session(visitor):
    ((name, token),) = visitor.cookies.items()
    for cookies in (f"{name}=other; {name}={token}", f"a=b;{name}={token};{name}=other", f"{name}={token}; {name}="):
        assert visitor("GET", "/page/", Cookie=cookies).status == 200
    for cookies in (f"{name}=other", f"x{name}={token}", f"{name} {token}", f'{name}="', "=", ";;"):
        assert visitor("GET", "/page/", Cookie=cookies).status == 303
    visitor("POST", "/page/logout", Cookie=f"{name}={token}; {name}=other")
    assert visitor("GET", "/page/", Cookie=f"{name}={token}").status == 303


def user_1():
    return "user 1"


ON_LINUX = pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="the system does not list connections")


@ON_LINUX
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_cookie_that_another_user_of_this_machine_was_sent_opens_nothing(visitor, gradient_server):
    ((name, token),) = visitor.cookies.items()
    host = urlsplit(gradient_server.url)
    request = f"GET /page/ HTTP/1.1\r\nHost: {host.netloc}\r\nCookie: {name}={token}\r\n\r\n"
    for user, status in ((65534, b"303"), (os.getuid(), b"200"), (65534, b"303")):
        os.seteuid(user)  # connections belong to the user who opens them
        try:
            connection = socket.create_connection((host.hostname, host.port), timeout=PATIENCE)
        finally:
            os.seteuid(os.getuid())
        with connection:
            connection.sendall(request.encode())
            assert connection.recv(100).split()[1] == status
    assert visitor.get("/page/").status == 200


@ON_LINUX
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_session_belongs_to_the_user_who_opened_the_connection(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with listen("::1" if address == "::1" else "127.0.0.1", 0) as listener, socket.socket(family) as opened:
        opened.connect((address, listener.getsockname()[1]))
        accepted, client = listener.accept()
        with accepted:
            scope = {"type": "http", "headers": [], "client": client[:2], "server": accepted.getsockname()[:2]}
            assert owner_of(Request(scope)) == f"user {os.geteuid()}"
            scope["client"] = (client[0], client[1] ^ 1)
            assert owner_of(Request(scope)) == "this machine"


@pytest.mark.parametrize(("client", "owner"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::7%eth0", "2001:db8::/64")])
def test_a_session_from_elsewhere_belongs_to_the_other_machine(client, owner):
    scope = {"type": "http", "headers": [], "client": (client, 50_000), "server": (client, 8090)}
    assert owner_of(Request(scope)) == owner


def test_a_session_is_of_use_to_its_owner_alone():
    sessions = Sessions(lambda: 0.0)
    token = sessions.start("user 1")
    for owner in ("user 2", "this machine", "192.0.2.7", ""):
        assert not sessions.use(token, lambda owner=owner: owner)
    assert sessions.use(token, user_1)


def test_a_session_ends_after_twelve_hours_without_use():
    now = 0.0
    sessions = Sessions(lambda: now)
    used, unused = sessions.start("user 1"), sessions.start("user 1")
    for _ in range(3):
        now += 12 * 3600
        assert sessions.use(used, user_1)
    assert not sessions.use(unused, user_1)
    now += 12 * 3600 + 1
    assert not sessions.use(used, user_1)


def test_of_more_than_a_thousand_sessions_the_one_that_was_used_longest_ago_ends():
    sessions = Sessions(lambda: 0.0)
    first, second = sessions.start("user 1"), sessions.start("user 1")
    assert sessions.use(first, user_1)
    others = [sessions.start("user 1") for _ in range(999)]
    assert [sessions.use(token, user_1) for token in (first, second)] == [True, False]
    assert all(sessions.use(token, user_1) for token in others)
