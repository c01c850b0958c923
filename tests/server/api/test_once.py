"""When a request is done and when it is answered again, for any sequence of requests, and for any that overlap."""

import asyncio
from collections import Counter

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.api.idempotency import FirstAnswer, is_kept, known_answer, name_of, request_of
from gradient_server.api.once import Once
from gradient_server.api.responses import IDEMPOTENCY_KEY_REUSED, ApiResponse
from gradient_server.clock import Clock
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store

DAY = 24 * 60 * 60
KEEPING = [200, 204, 404, 409]
FREEING = [400, 401, 403, 413, 415, 429, 500, 503]
BODY = {"name": "n", "projectHandle": "p", "experimentTypeId": 1}


class Time:
    """Real time, as a test says that it goes by."""

    def __init__(self):
        self.seconds = 1e9

    def __call__(self):
        return self.seconds


class Counted:
    """An operation that numbers its answers, and knows what it was asked for, and whether at the same time."""

    def __init__(self, store):
        self.store = store
        self.done = []
        self.under_way = Counter()

    async def __call__(self, given, body):
        self.under_way[given["Idempotency-Key"]] += 1
        assert self.under_way[given["Idempotency-Key"]] == 1
        for _ in range(body.get("pauses", 0)):
            await asyncio.sleep(0)
        self.store.add(BODY)
        self.done.append((given["Idempotency-Key"], body["asks for"]))
        self.under_way[given["Idempotency-Key"]] -= 1
        if body["answer"] is None:
            raise ZeroDivisionError
        return ApiResponse(body["answer"], {"number": len(self.done)})


@frozen
class Call:
    key: str
    asks_for: int
    answer: int | None
    pauses: int = 0


CALLS = st.builds(
    Call,
    key=st.sampled_from("abc"),
    asks_for=st.sampled_from([1, 1, 1, 2]),
    answer=st.sampled_from([*KEEPING, *KEEPING, *FREEING, None]),
    pauses=st.integers(0, 3),
)


class Calling:
    """Makes calls, each with a body that says how it is to end the first time; what it asks for is told by a path."""

    def __init__(self):
        self.time = Time()
        self.store = Store(Clock(), 0, SimulatedRunner())
        self.operation = Counted(self.store)
        self.once = Once(self.store, "a-key", self.time)

    async def __call__(self, call):
        # How it ends is no part of what is asked for: the digest is made of the rest.
        async def act(given, body):
            return await self.operation(given, {**body, "answer": call.answer, "pauses": call.pauses})

        guarded = self.once.guarded("createExperiment", act)
        try:
            return await guarded({"Idempotency-Key": call.key}, {"asks for": call.asks_for})
        except ZeroDivisionError:
            return None


@given(steps=st.lists(CALLS | st.sampled_from([1, DAY / 2, DAY - 1, DAY + 1])))
def test_one_after_the_other(steps):
    """As a model says: a dictionary of what was answered, in which answers are a day old at most."""
    calling, model, done = Calling(), {}, 0
    for step in steps:
        if not isinstance(step, Call):
            calling.time.seconds += step
            continue
        answer = asyncio.run(calling(step))
        asked, first, moment = model.get(step.key, (None, None, 0))
        if first and calling.time.seconds - moment <= DAY:
            assert answer == (first if asked == step.asks_for else IDEMPOTENCY_KEY_REUSED)
        else:
            done += 1
            assert (answer and answer.status) == step.answer
            if step.answer in KEEPING:
                model[step.key] = step.asks_for, answer, calling.time.seconds
        assert len(calling.operation.done) == done


@given(calls=st.lists(CALLS, min_size=1, max_size=12))
def test_all_at_the_same_time(calls):
    """One at a time is done of each key, until one is answered for good; that is what all later ones are told."""

    async def all_of_them(calling):
        return await asyncio.gather(*map(calling, calls))

    calling = Calling()
    answers = asyncio.run(all_of_them(calling))
    for key in {call.key for call in calls}:
        told = [(call, answer) for call, answer in zip(calls, answers, strict=True) if call.key == key]
        kept = [answer for _, answer in told if answer and is_kept(answer)]
        assert all(answer == kept[0] for answer in kept)
        (asked,) = {call.asks_for for call, answer in told if answer and is_kept(answer)} or {None}
        # Who was refused because of the key had asked for something else.
        assert all(call.asks_for != asked for call, answer in told if answer == IDEMPOTENCY_KEY_REUSED)
        assert kept or len(told) == Counter(name for name, _ in calling.operation.done)[key]
    # What was not answered by the operation itself was not done.
    own = [answer for answer in answers if answer and answer != IDEMPOTENCY_KEY_REUSED]
    numbers = {answer.body["number"] for answer in own}
    assert len(numbers) + answers.count(None) == len(calling.operation.done)


def test_a_repetition_waits_for_the_first_answer():
    """However long that takes, and also when there are many."""

    async def scene():
        calling, go_on, begun = Calling(), asyncio.Event(), []

        async def act(given, body):
            begun.append(body)
            await go_on.wait()
            return ApiResponse(200, {"handle": "es1"})

        guarded = calling.once.guarded("createExperiment", act)
        waiting = [asyncio.create_task(guarded({"Idempotency-Key": "a"}, {})) for _ in range(20)]
        other = asyncio.create_task(guarded({"Idempotency-Key": "a"}, {"another": 1}))
        elsewhere = asyncio.create_task(guarded({"Idempotency-Key": "b"}, {}))
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(begun) == 2  # that of the other key does not wait
        assert not any(task.done() for task in [*waiting, other, elsewhere])
        go_on.set()
        assert set(map(repr, await asyncio.gather(*waiting, elsewhere))) == {repr(ApiResponse(200, {"handle": "es1"}))}
        assert await other == IDEMPOTENCY_KEY_REUSED
        assert len(begun) == 2

    asyncio.run(scene())


@pytest.mark.parametrize("ending", ["fails", "is cancelled"])
def test_a_repetition_takes_over_when_the_first(ending):
    """If nobody can have been told that it was done, the next one does it."""

    async def scene():
        calling, begun = Calling(), []

        async def act(given, body):
            begun.append(body)
            calling.store.add(BODY)
            await asyncio.sleep(0)
            if len(begun) == 1 and ending == "fails":
                raise ZeroDivisionError
            if len(begun) == 1:
                await asyncio.Event().wait()
            return ApiResponse(200)

        guarded = calling.once.guarded("createExperiment", act)
        first, second = (asyncio.create_task(guarded({"Idempotency-Key": "a"}, {})) for _ in range(2))
        for _ in range(10):
            await asyncio.sleep(0)
        first.cancel()
        assert (await second).status == 200
        assert len(begun) == 2
        # What the first had done until then does not count.
        assert len(calling.store.newest_first()) == 1
        with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
            await first

    asyncio.run(scene())


def test_a_reset_while_it_is_worked_on():
    """Forgets that, too: what comes later neither meets it nor is taken for it."""

    async def scene():
        calling, go_on = Calling(), asyncio.Event()

        async def act(given, body):
            for _ in range(3):
                calling.store.add(BODY)
            await go_on.wait()
            return ApiResponse(200)

        guarded = calling.once.guarded("createExperiment", act)
        working = asyncio.create_task(guarded({"Idempotency-Key": "a"}, {}))
        await asyncio.sleep(0)
        calling.store.reset()
        go_on.set()
        assert (await working).status == 200
        assert calling.store.newest_first() == []
        assert [calling.store.add(BODY).number for _ in range(5)] == [1, 2, 3, 4, 5]
        assert len(calling.store.newest_first()) == 5
        await guarded({"Idempotency-Key": "a"}, {})
        assert len(calling.store.newest_first()) == 8

    asyncio.run(scene())


def test_an_answer_that_cannot_be_kept():
    """Then nothing has been done either: who asks again must not have it done twice."""

    class FullStore(Store):
        def keep(self, name, first):
            raise OSError("no space")

    store = FullStore(Clock(), 0, SimulatedRunner())

    async def act(given, body):
        store.add(BODY)
        return ApiResponse(200)

    guarded = Once(store, "key").guarded("createExperiment", act)
    with pytest.raises(OSError, match="no space"):
        asyncio.run(guarded({"Idempotency-Key": "a"}, {}))
    assert store.newest_first() == []


def test_an_operation_that_does_not_await():
    """Is guarded as well."""
    calling, done = Calling(), []

    def act(given, body):
        done.append(body)
        return ApiResponse(204)

    guarded = calling.once.guarded("deleteExperiment", act)
    for parameters in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}, {}, {}):
        assert asyncio.run(guarded(parameters, {})) == ApiResponse(204)
    assert len(done) == 3


def test_keys_are_let_go_after_a_day():
    """For a day each is there, however many come; what is older goes when others come, and cannot pile up."""
    calling = Calling()
    names = {key: name_of("a-key", key) for key in map(str, range(300))}
    for number, key in enumerate(names):
        asyncio.run(calling(Call(key, 1, 200)))
        known = [calling.store.first_answer(name) is not None for name in names.values()]
        assert known == [number - 20 <= one <= number for one in range(300)]
        calling.time.seconds += DAY / 20


def test_each_api_key_has_keys_of_its_own():
    """The same key of two of them is two."""
    store = Store(Clock(), 0, SimulatedRunner())
    number = iter(range(10))
    for api_key in ("one", "two", "one", "two"):
        guarded = Once(store, api_key).guarded("createExperiment", lambda given, body: ApiResponse(200, next(number)))
        answer = asyncio.run(guarded({"Idempotency-Key": "a"}, {}))
        assert answer.body == {"one": 0, "two": 1}[api_key]
    # Also where putting them together would give the same text.
    assert name_of("ab", "c") != name_of("a", "bc")


@given(
    status=st.sampled_from([*KEEPING, *FREEING]),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    age=st.floats(-DAY, 2 * DAY),
)
def test_what_is_kept_comes_back_as_it_was(status, body, age):
    """Status and body, for a day; also when real time has been set back since."""
    request = request_of("createExperiment", {}, {})
    first = FirstAnswer.of(request, ApiResponse(status, body), moment=1e9)
    now = 1e9 + age
    assert known_answer(first, request, now) == (ApiResponse(status, body) if now - 1e9 <= DAY else None)
    assert known_answer(first, b"another", now) == (IDEMPOTENCY_KEY_REUSED if now - 1e9 <= DAY else None)
    assert is_kept(ApiResponse(status)) == (status in KEEPING)


OBJECTS = st.dictionaries(st.text(max_size=2), st.integers(0, 2) | st.text(max_size=2), max_size=2)


@given(one=st.tuples(st.sampled_from("ab"), OBJECTS, OBJECTS), other=st.tuples(st.sampled_from("ab"), OBJECTS, OBJECTS))
def test_requests_are_the_same_or_not(one, other):
    """As their operation, parameters and bodies are; the key is no part of them."""
    assert (request_of(*one) == request_of(*other)) == (one == other)
    operation_id, given_, body = one
    assert request_of(operation_id, {**given_, "Idempotency-Key": "x"}, body) == request_of(*one)
