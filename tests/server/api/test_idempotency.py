"""Idempotency keys: a request takes effect once, however often and whenever it is sent; over HTTP and as decisions."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import frozen
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.api.idempotency import IdempotencyMiddleware, fingerprint, is_stored, key_digest
from gradient_server.api.responses import IDEMPOTENCY_KEY_REUSED, ApiResponse
from gradient_server.clock import Clock
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store
from tests.server.api.conftest import EXPERIMENTS, EXPERIMENTS_V2
from tests.server.conftest import PATIENCE

DAY = 24 * 60 * 60
BODY = {"name": "n", "projectHandle": "p", "experimentTypeId": 1}


# --- over HTTP


def key(text):
    return {"Idempotency-Key": text}


@pytest.fixture
def do(ask, single_node_body):
    """Call an operation by its name, with a key or without."""

    def call(name, handle="", *, under=None, body=single_node_body, at=EXPERIMENTS):
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
    return lambda: ask("GET", EXPERIMENTS + "?limit=-1").body["data"]


def assert_same(one, other):
    first, second = ((found.status, found.body, found.headers["content-type"]) for found in (one, other))
    assert first == second


@pytest.mark.usefixtures("server_stays_healthy")
class TestRequests:
    @pytest.mark.parametrize("name", ["create", "run"])
    def test_creating_again_with_a_key_returns_the_same_experiment(self, do, experiments, name):
        first = do(name, under="a")
        assert first.status == 200
        for _ in range(3):
            assert_same(do(name, under="a"), first)
        assert [found["handle"] for found in experiments()] == [first.body["handle"]]
        others = {do(name, under=other).body["handle"] for other in ("b", "A", None, None)}
        assert len({first.body["handle"], *others}) == len(experiments()) == 5

    @pytest.mark.parametrize("name", ["start", "stop", "delete"])
    def test_repeating_a_change_is_no_conflict(self, do, frozen_server, name):
        handle = do("create").body["handle"]
        first = do(name, handle, under="a")
        assert first.status in (200, 204)
        frozen_server.advance(100)
        assert_same(do(name, handle, under="a"), first)
        do(name, handle, under="b").assert_error(404 if name == "delete" else 409)

    def test_an_error_of_the_operation_is_replayed(self, do, gradient_server):
        handle = do("create").body["handle"]
        gradient_server.reset()
        missing = do("start", handle, under="missing")
        missing.assert_error(404)
        assert do("create").body["handle"] == handle
        assert_same(do("start", handle, under="missing"), missing)
        assert do("start", handle).status == 200
        conflict = do("start", handle, under="conflict")
        conflict.assert_error(409)
        do("delete", handle)
        assert_same(do("start", handle, under="conflict"), conflict)

    def test_a_request_that_was_rejected_may_be_corrected_under_the_same_key(
        self, ask, do, experiments, single_node_body
    ):
        invalid_command = {**single_node_body, "command": "no base64"}
        invalid_simulation = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_SECONDS": -1}}
        for body in (invalid_command, invalid_simulation, {}, b"{"):
            do("create", under="a", body=body).assert_error(400)
        ask("POST", EXPERIMENTS, {}, {**key("a"), "Content-Type": "text/plain"}).assert_error(415)
        ask("POST", EXPERIMENTS, single_node_body, {**key("a"), "X-API-Key": "wrong"}).assert_error(403)
        ask("POST", EXPERIMENTS, b" " * (2**20 + 1), key("a")).assert_error(413)
        assert experiments() == []
        first = do("create", under="a")
        assert first.status == 200
        # Afterwards such a request is rejected as before, not replayed.
        do("create", under="a", body=invalid_command).assert_error(400)
        ask("POST", EXPERIMENTS, single_node_body, {**key("a"), "X-API-Key": "wrong"}).assert_error(403)
        assert_same(do("create", under="a"), first)
        assert len(experiments()) == 1

    def test_another_request_with_the_key_is_rejected(self, do, experiments, single_node_body):
        first = do("create", under="a")
        handle, other = first.body["handle"], do("create").body["handle"]
        nested = {**single_node_body["experimentEnv"], "MAX_STEPS": 101}
        for change in ({"name": "longer"}, {"experimentEnv": nested}, {"registryPassword": "secret"}):
            do("create", under="a", body={**single_node_body, **change}).assert_error(422)
        for name in ("run", "start", "stop", "delete"):
            do(name, handle, under="a").assert_error(422)
        assert do("start", handle, under="b").status == 200
        do("start", other, under="b").assert_error(422)
        assert_same(do("create", under="a"), first)
        assert {found["handle"] for found in experiments() if found["state"] == State.CREATED} == {other}

    def test_the_same_request_in_another_form_is_replayed(self, ask, do, single_node_body, experiments):
        first = do("create", under="a")
        backwards = dict(reversed(single_node_body.items()))
        backwards["experimentEnv"] = dict(reversed(single_node_body["experimentEnv"].items()))
        for raw in (json.dumps(backwards, indent=4), json.dumps({**single_node_body, "unknown": 1})):
            assert_same(ask("POST", EXPERIMENTS, raw.encode(), key("a")), first)
        assert_same(do("create", under="a", at=EXPERIMENTS_V2), first)
        assert len(experiments()) == 1

    def test_a_reset_forgets_keys(self, do, gradient_server, single_node_body):
        do("create", under="a")
        gradient_server.reset()
        assert do("create", under="a", body={**single_node_body, "name": "another"}).status == 200

    def test_reading_takes_no_key(self, ask, do):
        assert ask("GET", EXPERIMENTS, None, key("a")).body["data"] == []
        handle = do("create").body["handle"]
        assert len(ask("GET", EXPERIMENTS, None, key("a")).body["data"]) == 1
        assert ask("GET", f"{EXPERIMENTS}{handle}/", None, key("a")).status == 200

    def test_fifty_identical_requests_at_once_take_effect_once(self, connect_raw, single_node_body, experiments):
        ready = threading.Barrier(50)

        def call(_):
            with contextlib.closing(connect_raw()) as client:
                client.connection.connect()
                responses = []
                for number in range(5):
                    ready.wait(PATIENCE)
                    path = EXPERIMENTS + "run/" * (number % 2)
                    responses.append(client("POST", path, single_node_body, key(f"call-{number}")))
                return [(found.status, found.body["handle"]) for found in responses]

        with ThreadPoolExecutor(50) as pool:
            seen = list(pool.map(call, range(50)))
        assert all(found == seen[0] for found in seen)
        assert {handle for _, handle in seen[0]} == {found["handle"] for found in experiments()}
        assert len(seen[0]) == len(experiments()) == 5


# --- the middleware, with any sequence of requests and any overlap

STORED = [200, 204, 404, 409]
NOT_STORED = [400, 401, 403, 413, 415, 429, 500, 501, 503]


@frozen
class Call:
    """A request, and how the operation ends when it is done."""

    key: str
    request: int
    status: int | None
    pauses: int = 0


CALLS = st.builds(
    Call,
    key=st.sampled_from("abc"),
    request=st.sampled_from([1, 1, 1, 2]),
    status=st.sampled_from([*STORED, *STORED, *NOT_STORED, None]),
    pauses=st.integers(0, 3),
)


class Caller:
    """Makes calls through the middleware to an operation that adds an experiment and numbers its responses."""

    def __init__(self):
        self.now = 1e9
        self.store = Store(Clock(), 0, SimulatedRunner())
        self.middleware = IdempotencyMiddleware(self.store, "a-key", lambda: self.now)
        self.done = []
        self.running = Counter()

    async def __call__(self, call):
        async def handler(parameters, body):
            self.running[call.key] += 1
            assert self.running[call.key] == 1
            for _ in range(call.pauses):
                await asyncio.sleep(0)
            self.store.add(BODY)
            self.done.append(call.key)
            self.running[call.key] -= 1
            if call.status is None:
                raise ZeroDivisionError
            return ApiResponse(call.status, {"number": len(self.done)})

        try:
            return await self.wrap(handler)({"Idempotency-Key": call.key}, {"request": call.request})
        except ZeroDivisionError:
            return None

    def wrap(self, handler):
        return self.middleware.wrap("createExperiment", handler)


@given(steps=st.lists(CALLS | st.sampled_from([1, DAY / 2, DAY - 1, DAY + 1])))
def test_calls_in_sequence_behave_as_a_dictionary_of_responses_of_the_last_day(steps):
    caller, model, done = Caller(), {}, 0
    for step in steps:
        if not isinstance(step, Call):
            caller.now += step
            continue
        response = asyncio.run(caller(step))
        request, first, timestamp = model.get(step.key, (None, None, 0))
        if first and caller.now - timestamp <= DAY:
            assert response == (first if request == step.request else IDEMPOTENCY_KEY_REUSED)
        else:
            done += 1
            assert (response and response.status) == step.status
            if step.status in STORED:
                model[step.key] = step.request, response, caller.now
        assert len(caller.done) == done


@given(calls=st.lists(CALLS, min_size=1, max_size=12))
def test_calls_at_once_run_one_by_one_for_each_key_until_a_response_is_stored(calls):
    async def call_all(caller):
        return await asyncio.gather(*map(caller, calls))

    caller = Caller()
    responses = asyncio.run(call_all(caller))
    for key_ in {call.key for call in calls}:
        seen = [(call, found) for call, found in zip(calls, responses, strict=True) if call.key == key_]
        stored = [found for _, found in seen if found and is_stored(found)]
        assert all(found == stored[0] for found in stored)
        (request,) = {call.request for call, found in seen if found and is_stored(found)} or {None}
        assert all(call.request != request for call, found in seen if found == IDEMPOTENCY_KEY_REUSED)
        assert stored or len(seen) == Counter(caller.done)[key_]
    numbers = {found.body["number"] for found in responses if found and found != IDEMPOTENCY_KEY_REUSED}
    assert len(numbers) + responses.count(None) == len(caller.done)


def test_a_repetition_takes_effect_if_the_first_request_is_cancelled():
    async def scene():
        caller, begun = Caller(), []

        async def handler(parameters, body):
            begun.append(body)
            caller.store.add(BODY)
            if len(begun) == 1:
                await asyncio.Event().wait()
            return ApiResponse(200)

        first, second = (asyncio.create_task(caller.wrap(handler)(key("a"), {})) for _ in range(2))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(begun) == 1
        first.cancel()
        assert (await second).status == 200
        # What the first one had changed until then is discarded.
        assert (len(begun), len(caller.store.newest_first())) == (2, 1)
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scene())


def test_nothing_is_changed_if_the_response_cannot_be_stored():
    class FullStore(Store):
        def store_response(self, key, response):
            raise OSError("no space")

    store = FullStore(Clock(), 0, SimulatedRunner())

    async def handler(parameters, body):
        store.add(BODY)
        return ApiResponse(200)

    wrapped = IdempotencyMiddleware(store, "key").wrap("createExperiment", handler)
    with pytest.raises(OSError, match="no space"):
        asyncio.run(wrapped(key("a"), {}))
    assert store.newest_first() == []


def test_each_api_key_has_its_own_keys():
    store = Store(Clock(), 0, SimulatedRunner())
    number = iter(range(10))
    for api_key in ("one", "two", "one", "two"):
        middleware = IdempotencyMiddleware(store, api_key)
        wrapped = middleware.wrap("createExperiment", lambda parameters, body: ApiResponse(200, next(number)))
        assert asyncio.run(wrapped(key("a"), {})).body == {"one": 0, "two": 1}[api_key]
    # Also if both together give the same text.
    assert key_digest("ab", "c") != key_digest("a", "bc")


OBJECTS = st.dictionaries(st.text(max_size=2), st.integers(0, 2) | st.text(max_size=2), max_size=2)
REQUESTS = st.tuples(st.sampled_from("ab"), OBJECTS, OBJECTS)


@given(one=REQUESTS, other=REQUESTS)
def test_fingerprints_are_equal_if_operation_parameters_and_body_are(one, other):
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)
    operation_id, parameters, body = one
    assert fingerprint(operation_id, {**parameters, **key("x")}, body) == fingerprint(*one)
