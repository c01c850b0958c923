"""Bind policy, authentication, rate limiter, trusted hosts and origin check: as decisions, and over real sockets."""

import doctest
import json
import secrets
import sys

import pytest
from starlette.requests import Request

from gradient_server import LocalServer, settings
from gradient_server.api.responses import INCORRECT_API_KEY
from gradient_server.api.security import (
    THIS_MACHINE,
    Authentication,
    RateLimiter,
    TrustedHosts,
    check_origin,
    is_same_origin,
    peer_of,
)
from gradient_server.settings import check_bind_host, check_host_name, is_loopback
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import RawClient, raw_request, statuses_of

KEY = "a key that is long enough"
# The documented limit: 20 incorrect keys of a peer in a minute, with separate counts for a thousand peers.
GUESSES, MINUTE, PEERS = 20, 60.0, 1000


def test_docstring_examples():
    assert doctest.testmod(settings).failed == 0


# --- bind policy


@pytest.mark.parametrize(
    ("hosts", "loopback"),
    [
        ("127.0.0.1 127.0.0.2 ::1 localhost LOCALHOST", True),
        ("0.0.0.0 :: 192.0.2.7 2001:db8::1 box localhost.example.com 127.0.0.1.example.com 127.1", False),
        # Any name that is like a loopback address may be one that its owner has pointed at another machine.
        ("evil-localhost evil.localhost localhost.evil localhost.", False),
    ],
)
def test_other_addresses_than_loopback_need_expose_where_commands_are_executed_and_a_key_elsewhere(hosts, loopback):
    for host in hosts.split():
        assert is_loopback(host) is loopback
        if loopback:
            assert check_bind_host(host, executes_commands=True, expose=False) == host
        else:
            with pytest.raises(ValueError, match=r"run any command here as you.*--expose"):
                check_bind_host(host, executes_commands=True, expose=False)
        assert check_bind_host(host, executes_commands=True, expose=True) == host
        assert check_bind_host(host, executes_commands=False, expose=False) == host
        # The documented key keeps nobody out.
        if loopback:
            assert check_bind_host(host, executes_commands=False, expose=False, has_own_key=False) == host
        else:
            with pytest.raises(ValueError, match=r"could use the documented key.*give a key with --api-key-file"):
                check_bind_host(host, executes_commands=False, expose=False, has_own_key=False)


# --- authentication and rate limiter


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def rate_limiter(now):
    return RateLimiter(lambda: now[0])


@pytest.fixture
def authentication(rate_limiter):
    return Authentication("X-API-Key", KEY, rate_limiter)


def rejection_of(authentication, peer, key):
    """The error response to a request with a key; None: it is accepted."""
    headers = [(b"x-api-key", key.encode("latin-1"))] if key is not None else []
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    return authentication.check(request, INCORRECT_API_KEY)


def status_of(authentication, peer, key):
    """The status of a request with a key; 200: it is accepted."""
    response = rejection_of(authentication, peer, key)
    return response.status if response else 200


@pytest.fixture
def secret_server():
    with LocalServer(api_key=KEY, check_answers=True) as server:
        yield server


def test_guessing_on_this_machine_is_throttled_and_the_correct_key_accepted(secret_server):
    guesser, owner = (RawClient(secret_server.url, key) for key in ("guess", KEY))
    for number in range(GUESSES):
        # What a client says of its address does not count.
        guesser("GET", EXPERIMENTS, headers={"X-Forwarded-For": f"192.0.2.{number}"}).assert_error(403)
    for path in (EXPERIMENTS, "/jobs/logs?experimentId=es1", "/_gradient/faults"):
        rejected = guesser("GET", path)
        rejected.assert_error(429)
        assert 0 < int(rejected.headers["Retry-After"]) <= MINUTE
        assert rejected.headers["Retry-After"] in rejected.body["details"]
    assert owner("GET", EXPERIMENTS).status == 200
    secret_server.reset()
    guesser("GET", EXPERIMENTS).assert_error(403)
    for client in (guesser, owner):
        client.close()


def test_the_documented_default_key_has_no_rate_limit(ask):
    for _ in range(3 * GUESSES):
        ask("GET", EXPERIMENTS, headers={"X-API-Key": "wrong"}).assert_error(403)


@pytest.mark.parametrize("key", [None, ""])
def test_a_missing_key_does_not_count_as_a_guess(authentication, key):
    statuses = [status_of(authentication, "127.0.0.1", key) for _ in range(GUESSES + 1)]
    assert set(statuses) == {403}


def test_guessing_from_another_machine_locks_out_that_machine_alone(authentication, now):
    guesses = [status_of(authentication, "192.0.2.7", f"guess {number}") for number in range(GUESSES)]
    assert guesses == [403] * GUESSES
    assert status_of(authentication, "192.0.2.7", KEY) == 429
    assert [status_of(authentication, peer, KEY) for peer in ("192.0.2.8", "127.0.0.1", "::1")] == [200] * 3
    now[0] += MINUTE - 0.5
    assert rejection_of(authentication, "192.0.2.7", KEY).headers == {"Retry-After": "1"}
    now[0] += 0.5
    assert status_of(authentication, "192.0.2.7", KEY) == 200


def test_continuous_guessing_gets_a_bounded_number_of_keys_checked(authentication, now):
    checked = 0
    for second in range(600):
        now[0] = 1000.0 + second
        checked += sum(status_of(authentication, "192.0.2.7", "guess") == 403 for _ in range(50))
    assert checked == GUESSES * 600 / MINUTE


def test_an_occasional_incorrect_key_is_never_throttled(authentication, now):
    for _ in range(100):
        now[0] += MINUTE / (GUESSES - 2)
        assert status_of(authentication, "192.0.2.7", "mistyped") == 403
    assert status_of(authentication, "192.0.2.7", KEY) == 200


def test_guessing_from_many_addresses_takes_bounded_memory(authentication, rate_limiter, now):
    peers = [f"10.0.{number // 250}.{number % 250}" for number in range(3 * PEERS)]
    statuses = [status_of(authentication, peer, "guess") for peer in peers]
    assert rate_limiter.peers == PEERS + 1
    assert statuses.count(429) > PEERS
    assert status_of(authentication, "127.0.0.1", KEY) == 200
    now[0] += 2 * MINUTE
    assert status_of(authentication, "192.0.2.7", "guess") == 403
    assert rate_limiter.peers == 1


def test_guesses_of_the_last_minute_count_when_other_addresses_fill_the_memory(authentication, now):
    assert status_of(authentication, "192.0.2.7", "guess") == 403
    now[0] += MINUTE - 1
    guesses = [status_of(authentication, "192.0.2.7", "guess") for _ in range(GUESSES - 1)]
    now[0] += 2
    others = [status_of(authentication, f"10.0.{number // 250}.{number % 250}", "guess") for number in range(PEERS)]
    assert set(guesses + others) == {403}
    assert [status_of(authentication, "192.0.2.7", key) for key in ("guess", KEY)] == [403, 429]


def test_addresses_of_this_machine_or_one_network_are_one_peer():
    assert {peer_of(found) for found in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")} == {THIS_MACHINE}
    assert peer_of("2001:db8::1") == peer_of("2001:db8::ffff:1") != peer_of("2001:db8:0:1::1")
    assert peer_of("fe80::1%eth0") == peer_of("fe80::2%eth1")
    assert peer_of("::ffff:192.0.2.7") == peer_of("192.0.2.7") != peer_of("192.0.2.8")
    assert peer_of("") == ""


@pytest.mark.parametrize("given", [KEY, KEY[:-1], KEY + "x", "x" + KEY[1:], "", None, "\xe9"])
def test_only_the_whole_key_is_accepted_in_constant_time(authentication, given):
    called = []
    sys.setprofile(lambda frame, event, function: called.append(function) if event == "c_call" else None)
    try:
        status = status_of(authentication, "127.0.0.1", given)
    finally:
        sys.setprofile(None)
    assert status == (200 if given == KEY else 403)
    assert called.count(secrets.compare_digest) == 1


def test_a_key_in_two_headers_is_not_joined(secret_server):
    request = raw_request("GET", EXPERIMENTS, f"X-API-Key: {KEY[5:]}", key=KEY[:5])
    assert statuses_of(secret_server, request) == [403]


# --- trusted hosts

LOOPBACK = TrustedHosts(host="127.0.0.1", address="127.0.0.1")
LOOPBACK_6 = TrustedHosts(host="::1", address="::1")
NAMED = TrustedHosts(host="Box.Example.COM", address="192.0.2.7")
EVERYWHERE = TrustedHosts(host="0.0.0.0", address="0.0.0.0")
EVERYWHERE_6 = TrustedHosts(host="::", address="::")
PROXIED = TrustedHosts(host="127.0.0.1", address="127.0.0.1", allowed=("gradient.example.com", "2001:db8::1"))


TRUSTED = {
    LOOPBACK: "127.0.0.1 127.0.0.1:8090 127.0.0.1: localhost:1 LocalHost. [::1]:8090 [::ffff:127.0.0.1]",
    LOOPBACK_6: "[::1]:8090 [0:0:0:0:0:0:0:1] localhost",
    NAMED: "box.example.com:8090 192.0.2.7",
    EVERYWHERE: "192.0.2.7:8090 0.0.0.0:8090 localhost:8090",
    EVERYWHERE_6: "[2001:db8::1]:8090",
    PROXIED: "gradient.example.com GRADIENT.example.com.:443 [2001:db8::1] 127.0.0.1:8090",
}
UNTRUSTED = {
    LOOPBACK: "evil.example localhost.evil.example 127.0.0.1.evil.example:8090 evil.example@127.0.0.1 "
    "127.0.0.1@evil.example 127.0.0.1:8090:evil.example 127.0.0.1:port 127.0.0.1:123456 :8090 ::1 [::1 [::1]evil 127.1 "
    "2130706433 192.0.2.7 0.0.0.0:8090 localhost..:8090 gradient.example.com evil-localhost evil.localhost:8090 "
    "localhost.evil.com localhost-evil evil-127.0.0.1 127.0.0.1.evil",
    NAMED: "example.com localhost 127.0.0.1",
    EVERYWHERE: "evil.example",
    EVERYWHERE_6: "evil.example:8090",
    PROXIED: "example.com 192.0.2.7 evil-gradient.example.com evil.gradient.example.com gradient.example.com.evil",
}


def each(headers_of):
    return [(hosts, header) for hosts, headers in headers_of.items() for header in headers.split()]


@pytest.mark.parametrize(("hosts", "header"), each(TRUSTED))
def test_hosts_that_mean_the_server_are_trusted(hosts, header):
    assert hosts.include(header)


@pytest.mark.parametrize(("hosts", "header"), [*each(UNTRUSTED), (LOOPBACK, ""), (LOOPBACK, "127.0.0.1, evil.example")])
def test_other_hosts_are_not_trusted(hosts, header):
    assert not hosts.include(header)


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://127.0.0.1:8090", "127.0.0.1:8090", True),
        ("http://localhost", "localhost", True),
        ("http://localhost", "localhost:80", True),
        # Behind a proxy with TLS.
        ("https://gradient.example.com", "gradient.example.com", True),
        ("https://gradient.example.com", "Gradient.Example.com:443", True),
        ("http://[::1]:8090", "[::1]:8090", True),
        ("null", "127.0.0.1:8090", False),
        ("", "127.0.0.1:8090", False),
        ("http://127.0.0.1:3000", "127.0.0.1:8090", False),
        ("http://127.0.0.1", "127.0.0.1:8090", False),
        ("http://localhost:8090", "127.0.0.1:8090", False),
        ("https://127.0.0.1", "127.0.0.1:80", False),
        ("http://evil.example", "127.0.0.1:8090", False),
        ("http://evil-localhost:8090", "localhost:8090", False),
        ("http://localhost.evil.com:8090", "localhost:8090", False),
        ("http://127.0.0.1:8090.evil.example", "127.0.0.1:8090", False),
        ("http://127.0.0.1:8090/", "127.0.0.1:8090", False),
        ("file://127.0.0.1:8090", "127.0.0.1:8090", False),
        ("chrome-extension://127.0.0.1:8090", "127.0.0.1:8090", False),
        ("http://127.0.0.1:8090", None, False),
    ],
)
def test_same_origin_means_same_host_and_port(origin, host, expected):
    assert is_same_origin(origin, host) is expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("box", "box"),
        ("Gradient.Example.COM.", "gradient.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_allowed_names_are_canonicalized(text, name):
    assert check_host_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "*", "*.example.com", "box:8090", "http://box", "a b", "-box", "box..com", "a" * 64]
)
def test_ports_and_patterns_are_not_names(text):
    with pytest.raises(ValueError, match=r"give one such as box\.example\.com, without a port"):
        check_host_name(text)


# --- origin check


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Host": "127.0.0.1:8090"}, None),
        ({}, None),  # HTTP/1.0
        ({"Host": "evil.example"}, "This server is not called 'evil.example'; if it is, start it with --allow-host"),
        ({"Host": ""}, "This server is not called ''"),
        ({"Host": "127.0.0.1:8090", "Origin": "http://127.0.0.1:8090"}, None),
        ({"Host": "127.0.0.1:8090", "Origin": "null"}, "Pages of 'null' may not use this server"),
        ({"Host": "127.0.0.1:8090", "Origin": "http://127.0.0.1:1"}, "Pages of 'http://127.0.0.1:1' may not"),
        ({"Origin": "http://127.0.0.1"}, "Pages of 'http://127.0.0.1' may not use this server"),
        *(({"Host": "localhost", "Sec-Fetch-Site": site}, None) for site in ("same-origin", "none")),
        *(
            (
                {"Host": "localhost", "Origin": "http://localhost", "Sec-Fetch-Site": site},
                "Pages of other sites may not",
            )
            for site in ("cross-site", "same-site", "new")
        ),
    ],
)
def test_requests_for_another_host_or_of_another_origin_are_rejected(headers, text):
    rejection = check_origin([(name.lower().encode(), value.encode()) for name, value in headers.items()], LOOPBACK)
    assert (rejection and rejection.status) == (403 if text else None)
    assert not text or rejection.body["details"].startswith(text)


@pytest.mark.parametrize("origins", [(b"http://evil.example", b"http://localhost"), (b"http://localhost", b"null")])
def test_a_trusted_origin_does_not_hide_another_one(origins):
    headers = [(b"host", b"localhost"), *((b"origin", origin) for origin in origins)]
    assert check_origin(headers, LOOPBACK).status == 403


@pytest.mark.usefixtures("server_stays_healthy")
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_rejected_request_has_no_effect_at_any_address_and_uses_up_no_fault(
    ask, gradient_server, single_node_body, headers
):
    ask("POST", EXPERIMENTS + "run/", single_node_body, headers).assert_error(403)
    assert ask("GET", EXPERIMENTS).body["data"] == []  # on the same connection
    with gradient_server.faults(statuses=503, times=1):
        for method in ("GET", "OPTIONS"):
            for path in (EXPERIMENTS, "/jobs/logs?experimentId=es1", "/_gradient/faults", "/nothing"):
                response = ask(method, path, headers={"Access-Control-Request-Method": "POST", **headers})
                response.assert_error(403)
                assert not [name for name in response.headers if name.lower().startswith("access-control-")]
        assert ask("GET", EXPERIMENTS).status == 503


@pytest.mark.parametrize("host", ["e" * 9000, '"><script>alert(1)</script>', "\xe9\xff"])
def test_an_error_repeats_little_of_a_host_and_is_json(ask, host):
    response = ask("GET", EXPERIMENTS, headers={"Host": host})
    response.assert_error(403)
    assert len(json.dumps(response.body)) < 400
    assert response.headers["Content-Type"] == "application/json"


def test_a_request_for_a_proxy_is_not_found(gradient_server):
    assert statuses_of(gradient_server, raw_request("GET", f"http://evil.example{EXPERIMENTS}")) == [404]


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        (
            {"host": "0.0.0.0", "api_key": "gradient-local"},
            {"127.0.0.1": 200, "192.0.2.7": 200, "localhost": 200, "evil.example": 403},
        ),
        ({"allow_hosts": ["Box"]}, {"BOX:443": 200, "localhost": 200, "192.0.2.7": 403, "example.com": 403}),
    ],
)
def test_a_server_trusts_the_hosts_that_it_was_started_with(options, hosts):
    with LocalServer(**options) as server:
        requests = [raw_request("GET", EXPERIMENTS, host=host) for host in hosts]
        assert statuses_of(server, *requests) == list(hosts.values())
