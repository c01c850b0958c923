"""Who guesses keys: on this machine, where the right key is always let in, and from others, where it waits, too."""

import secrets
import socket
import sys

import pytest
from starlette.requests import Request

from gradient_server import LocalServer
from gradient_server.api.key_check import KeyCheck
from gradient_server.api.responses import FORBIDDEN
from gradient_server.api.wrong_keys import MOST, MOST_PEERS, OWN_MACHINE, PERIOD, WrongKeys, peer_of
from tests.server.conftest import RawClient

EXPERIMENTS = "/experiments/v1/experiments/"
KEY = "a key that is long enough"


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def wrong_keys(now):
    return WrongKeys(lambda: now[0])


def answered(check, peer, key):
    """The status of a request; 200: it is let in."""
    headers = [(b"x-api-key", key.encode("latin-1"))] if key is not None else []
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    refusal = check.refusal(request, FORBIDDEN)
    return refusal.status if refusal else 200


@pytest.fixture
def secret_server():
    with LocalServer(api_key=KEY, check_answers=True) as server:
        yield server


def test_guessing_on_this_machine(secret_server):
    """After some wrong keys the answer is 429 and says for how long; the right key is let in all the while."""
    guesser, owner = (RawClient(secret_server.url, key) for key in ("guess", KEY))
    for _ in range(MOST):
        guesser("GET", EXPERIMENTS).assert_error(403)
    for path in (EXPERIMENTS, "/jobs/logs?experimentId=es1", "/_gradient/faults"):
        refused = guesser("GET", path)
        refused.assert_error(429)
        assert 0 < int(refused.headers["Retry-After"]) <= PERIOD
        assert refused.headers["Retry-After"] in refused.body["details"]
    assert owner("GET", EXPERIMENTS).status == 200
    secret_server.reset()
    guesser("GET", EXPERIMENTS).assert_error(403)
    for client in (guesser, owner):
        client.close()


def test_the_default_key_needs_no_guessing(ask):
    """It is in the documentation, and tests try wrong keys by the hundred; nobody is made to wait."""
    for _ in range(3 * MOST):
        ask("GET", EXPERIMENTS, headers={"X-API-Key": "wrong"}).assert_error(403)


def test_no_key_is_no_guess(secret_server):
    """Who gives none is refused as ever."""
    client = RawClient(secret_server.url, KEY)
    for _ in range(MOST + 1):
        client("GET", EXPERIMENTS, headers={"X-API-Key": None}).assert_error(403)
        client("GET", EXPERIMENTS, headers={"X-API-Key": ""}).assert_error(403)
    client.close()


def test_guessing_from_another_machine(wrong_keys, now):
    """There, all keys are refused for a while, so that guessing takes time; nobody else has to wait for that."""
    check = KeyCheck("X-API-Key", KEY, wrong_keys)
    assert [answered(check, "192.0.2.7", f"guess {number}") for number in range(MOST)] == [403] * MOST
    assert answered(check, "192.0.2.7", KEY) == 429
    assert [answered(check, peer, KEY) for peer in ("192.0.2.8", "127.0.0.1", "::1")] == [200] * 3
    now[0] += PERIOD
    assert answered(check, "192.0.2.7", KEY) == 200


def test_how_many_guesses_there_are(wrong_keys, now):
    """Who goes on and on has no more of them looked at than that many a minute, and is not refused for longer."""
    check = KeyCheck("X-API-Key", KEY, wrong_keys)
    looked_at = 0
    for second in range(600):
        now[0] = 1000.0 + second
        looked_at += sum(answered(check, "192.0.2.7", "guess") == 403 for _ in range(50))
    assert looked_at == MOST * 600 / PERIOD


def test_a_mistake_now_and_then(wrong_keys, now):
    """One wrong key every few seconds is never too often."""
    check = KeyCheck("X-API-Key", KEY, wrong_keys)
    for _ in range(100):
        now[0] += PERIOD / (MOST - 2)
        assert answered(check, "192.0.2.7", "mistyped") == 403
    assert answered(check, "192.0.2.7", KEY) == 200


def test_guessing_from_many_addresses(wrong_keys, now):
    """Memory is bounded; those for whom there is no place any more are one, until others have had their minute."""
    check = KeyCheck("X-API-Key", KEY, wrong_keys)
    statuses = [answered(check, f"10.0.{number // 250}.{number % 250}", "guess") for number in range(3 * MOST_PEERS)]
    assert wrong_keys.peers <= MOST_PEERS + 1
    assert statuses.count(429) > MOST_PEERS
    assert answered(check, "127.0.0.1", KEY) == 200
    now[0] += 2 * PERIOD
    assert answered(check, "192.0.2.7", "guess") == 403
    assert wrong_keys.peers == 1


def test_who_is_the_same():
    """All of this machine, and all addresses of a network among which its owner chooses."""
    assert {peer_of(found) for found in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")} == {OWN_MACHINE}
    assert peer_of("2001:db8::1") == peer_of("2001:db8::ffff:1") != peer_of("2001:db8:0:1::1")
    assert peer_of("fe80::1%eth0") == peer_of("fe80::2%eth1")
    assert peer_of("::ffff:192.0.2.7") == peer_of("192.0.2.7") != peer_of("192.0.2.8")
    assert peer_of("") == ""


@pytest.mark.parametrize("given", [KEY, KEY[:-1], KEY + "x", "x" + KEY[1:], "", None, "\xe9"])
def test_keys_are_compared_in_constant_time(given):
    """Every comparison is the one of the library that takes as long whatever it finds, and nothing comes before it."""
    check = KeyCheck("X-API-Key", KEY)
    called = []

    def watch(frame, event, what):
        if event == "c_call":
            called.append(what)

    sys.setprofile(watch)
    try:
        status = answered(check, "127.0.0.1", given)
    finally:
        sys.setprofile(None)
    assert called.count(secrets.compare_digest) == 1, called
    assert status == (200 if given == KEY else 403)


def test_a_key_in_parts_is_none(secret_server):
    """A key that comes twice is not put together."""
    head = f"GET {EXPERIMENTS} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY[:5]}\r\nX-API-Key: {KEY[5:]}\r\n\r\n"
    host, port = secret_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
