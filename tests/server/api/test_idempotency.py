"""Calls with an `Idempotency-Key`: done once, answered as often as they are asked, whoever asks and when."""

import contextlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.api.responses import MAX_BODY_BYTES

pytestmark = pytest.mark.usefixtures("sound")
V1, V2 = "/experiments/v1/experiments/", "/experiments/v2/experiments/"
PATIENCE = 20


def key(text):
    return {"Idempotency-Key": text}


@pytest.fixture
def do(ask, single_node_body):
    """Call an operation by its name, with a key or without."""

    def call(name, handle="", *, under=None, body=single_node_body, at=V1):
        method, path = {
            "create": ("POST", ""),
            "run": ("POST", "run/"),
            "start": ("PUT", f"{handle}/start/"),
            "stop": ("PUT", f"{handle}/stop/"),
            "delete": ("DELETE", f"{handle}/"),
        }[name]
        return ask(method, at + path, body if method == "POST" else None, key(under) if under else None)

    return call


@pytest.fixture
def experiments(ask):
    """All experiments that there are."""
    return lambda: ask("GET", V1 + "?limit=-1").body["data"]


def same(one, other):
    return (one.status, one.body, one.headers["content-type"]) == (
        other.status,
        other.body,
        other.headers["content-type"],
    )


@pytest.mark.parametrize("name", ["create", "run"])
def test_creating_again(do, experiments, name):
    """Gives the same experiment; without a key, or with another one, there is a new one each time."""
    first = do(name, under="a")
    assert first.status == 200
    assert all(same(do(name, under="a"), first) for _ in range(3))
    assert [found["handle"] for found in experiments()] == [first.body["handle"]]
    others = {do(name, under=other).body["handle"] for other in ("b", "A", None, None)}
    assert len({first.body["handle"], *others}) == len(experiments()) == 5


@pytest.mark.parametrize("name", ["start", "stop", "delete"])
def test_doing_again(do, still, name):
    """Is no conflict, nothing that is not there, and changes nothing any more."""
    handle = do("create").body["handle"]
    first = do(name, handle, under="a")
    assert first.status in (200, 204)
    still.advance(100)
    assert same(do(name, handle, under="a"), first)
    do(name, handle, under="b").assert_error(404 if name == "delete" else 409)


def test_a_start_that_comes_again_does_not_start_again(do, ask, still):
    """The run goes on from where it was."""
    handle = do("create").body["handle"]
    do("start", handle, under="a")
    before = ask("GET", f"{V1}{handle}/").body
    still.advance(10)
    do("start", handle, under="a")
    state = ask("GET", f"{V1}{handle}/").body["data"]
    assert state["state"] == State.RUNNING
    still.advance(10)
    ended = ask("GET", f"{V1}{handle}/").body["data"]
    assert ended["state"] == State.STOPPED
    assert ended["dtCreated"] == before["data"]["dtCreated"]


def test_a_refusal_that_the_operation_decided_is_kept(do, gradient_server):
    """It would be right otherwise by now: the key tells of the first time."""
    handle = do("create").body["handle"]
    gradient_server.reset()
    missing = do("start", handle, under="missing")
    missing.assert_error(404)
    assert do("create").body["handle"] == handle
    assert same(do("start", handle, under="missing"), missing)
    assert do("start", handle).status == 200
    conflict = do("start", handle, under="conflict")
    conflict.assert_error(409)
    do("delete", handle)
    assert same(do("start", handle, under="conflict"), conflict)


def test_a_request_that_was_refused_before_can_be_mended(ask, do, experiments, single_node_body):
    """What is wrong in it, its kind, its size or its API key: the key is free until something has been done."""
    wrong_command = {**single_node_body, "command": "no base64"}
    wrong_wish = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_SECONDS": -1}}
    for body in (wrong_command, wrong_wish, {}, b"{"):
        do("create", under="a", body=body).assert_error(400)
    ask("POST", V1, {}, {**key("a"), "Content-Type": "text/plain"}).assert_error(415)
    ask("POST", V1, single_node_body, {**key("a"), "X-API-Key": "wrong"}).assert_error(403)
    ask("POST", V1, b" " * (MAX_BODY_BYTES + 1), key("a")).assert_error(413)
    assert experiments() == []
    first = do("create", under="a")
    assert first.status == 200
    # And afterwards it is refused as before, not answered.
    do("create", under="a", body=wrong_command).assert_error(400)
    ask("POST", V1, single_node_body, {**key("a"), "X-API-Key": "wrong"}).assert_error(403)
    assert same(do("create", under="a"), first)
    assert len(experiments()) == 1


def test_another_request_with_the_key(do, experiments, single_node_body):
    """Another body, path or operation is refused, and not done; the key still tells of the first."""
    first, second = do("create", under="a"), do("create")
    handle, other = first.body["handle"], second.body["handle"]
    longer = {**single_node_body, "name": "longer"}
    nested = {**single_node_body, "experimentEnv": {**single_node_body["experimentEnv"], "MAX_STEPS": 101}}
    for body in (longer, nested):
        do("create", under="a", body=body).assert_error(422)
    do("run", under="a").assert_error(422)
    for name in ("start", "stop", "delete"):
        do(name, handle, under="a").assert_error(422)
    assert do("start", handle, under="b").status == 200
    do("start", other, under="b").assert_error(422)
    do("stop", handle, under="b").assert_error(422)
    assert same(do("create", under="a"), first)
    states = {found["handle"]: found["state"] for found in experiments()}
    assert set(states) == {handle, other}
    assert states[other] == State.CREATED


def test_the_same_request_written_differently(ask, do, single_node_body, experiments):
    """The order of members, spaces, the address of the other version, what the server passes over: it is the same."""
    first = do("create", under="a")
    backwards = dict(reversed(single_node_body.items()))
    backwards["experimentEnv"] = dict(reversed(single_node_body["experimentEnv"].items()))
    for raw in (json.dumps(backwards, indent=4), json.dumps({**single_node_body, "unknown": 1})):
        assert same(ask("POST", V1, raw.encode(), key("a")), first)
    assert same(do("create", under="a", at=V2), first)
    assert len(experiments()) == 1


def test_resetting_the_server_forgets_keys(do, gradient_server, single_node_body):
    """As it forgets experiments."""
    do("create", under="a")
    gradient_server.reset()
    assert do("create", under="a", body={**single_node_body, "name": "another"}).status == 200


@pytest.mark.parametrize("given", ["", "two words", "é", "x" * 256])
def test_keys_that_cannot_be(ask, do, single_node_body, experiments, given):
    """Are named, and nothing is done."""
    ask("POST", V1, single_node_body, key(given.encode("utf-8"))).assert_error(400, "Idempotency-Key")
    assert experiments() == []
    assert do("create", under="x" * 255).status == 200


def test_reading_takes_no_key(ask, do):
    """What only reads answers with what is there now."""
    assert ask("GET", V1, None, key("a")).body["data"] == []
    handle = do("create").body["handle"]
    assert len(ask("GET", V1, None, key("a")).body["data"]) == 1
    assert ask("GET", f"{V1}{handle}/", None, key("a")).status == 200


@pytest.mark.parametrize("name", ["create", "run"])
def test_fifty_at_the_same_time(connect_raw, single_node_body, experiments, name):
    """Fifty connections send the same call at once: there is one experiment, and all fifty are told of it."""
    path = V1 + {"create": "", "run": "run/"}[name]
    ready = threading.Barrier(50)

    def call(_):
        with contextlib.closing(connect_raw()) as client:
            client.connection.connect()
            answered = []
            for number in range(5):
                ready.wait(PATIENCE)
                answered.append(client("POST", path, single_node_body, key(f"call-{number}")))
            return [(one.status, one.body["handle"]) for one in answered]

    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(call, range(50)))
    assert all(one == told[0] for one in told)
    assert {handle for _, handle in told[0]} == {found["handle"] for found in experiments()}
    assert len(told[0]) == len(experiments()) == 5


def test_fifty_different_ones_with_one_key(connect_raw, single_node_body, experiments):
    """One is done, whichever; the others are told that the key is taken."""
    ready = threading.Barrier(50)

    def call(number):
        with contextlib.closing(connect_raw()) as client:
            client.connection.connect()
            ready.wait(PATIENCE)
            return client("POST", V1, {**single_node_body, "name": f"client {number}"}, key("a")).status

    with ThreadPoolExecutor(50) as pool:
        assert sorted(pool.map(call, range(50))) == [200] + [422] * 49
    assert len(experiments()) == 1


def test_who_goes_away_before_the_answer_comes(do, ask, gradient_server, single_node_body, experiments):
    """Whether the server has acted or not when the connection breaks: asking again finds out, and does it if not."""
    body = json.dumps(single_node_body).encode()
    for number in range(20):
        head = f"POST {V1} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {ask.key}\r\nIdempotency-Key: k{number}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        address = ("127.0.0.1", int(gradient_server.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall(head.encode() + body[: len(body) - (number % 2)])
        assert do("create", under=f"k{number}").status == 200
    assert len(experiments()) == 20


def test_secrets_are_compared_too(do, single_node_body):
    """A body that differs in a password alone is another one."""
    secret = {**single_node_body, "registryPassword": "one"}
    assert do("create", under="a", body=secret).status == 200
    do("create", under="a", body={**secret, "registryPassword": "two"}).assert_error(422)
