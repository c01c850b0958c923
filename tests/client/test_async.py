"""What only an asynchronous client can get wrong: cancelled tasks, several event loops, a thousand things at once."""

import asyncio
import functools
import itertools
import subprocess
import sys
import types

import anyio
import anyio.to_thread
import pytest

from gradient import AsyncExperimentsClient, constants
from tests.client.flaky import FlakyServer, hang, status
from tests.client.live import LiveServer

pytestmark = pytest.mark.anyio
RUNNING, STOPPED = constants.ExperimentState.RUNNING, constants.ExperimentState.STOPPED


@pytest.fixture
def live():
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


async def follow(client):
    async for _ in client.yield_logs("es1"):
        pass


async def wait(client):
    await client.wait("es1")


async def cancelled(coroutine, moment):
    """Await something, and cancel this task as soon as it waits for the so many-th time."""

    @types.coroutine
    def steps():
        step = functools.partial(coroutine.send, None)
        for number in itertools.count():
            try:
                future = step()
            except StopIteration as end:
                return end.value
            if number == moment:
                asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            try:
                yield future
            except BaseException as error:
                step = functools.partial(coroutine.throw, error)
            else:
                step = functools.partial(coroutine.send, None)

    return await steps()


async def soon(condition):
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize(("act", "path"), [(follow, "/jobs/logs"), (wait, "/state/")])
async def test_cancelled_while_a_request_is_held(live, act, path):
    """Its connection is closed, nothing is asked any more, and the client goes on."""
    async with AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act, client)
            await soon(lambda: [query for query in live.asked(path) if "wait" in query])
            tasks.cancel_scope.cancel()
        asked = len(live.requests)
        live.change(state=STOPPED)  # Only then does the server see that nobody waits any more.
        await soon(lambda: live.connections() == 0)
        assert await client.state("es1") == STOPPED
        assert len(live.requests) == asked + 1
    await soon(lambda: live.connections() == 0)


async def test_cancelled_in_a_pause_between_attempts(flaky):
    """There is no other attempt."""
    flaky.plan = [status(503, b"", Retry_After="50")]
    async with AsyncExperimentsClient("k", base_url=flaky.url) as client:
        with anyio.move_on_after(0.3) as scope:
            await client.start("es1")
        assert scope.cancelled_caught
        assert len(flaky.requests) == 1
        assert (await client.get("es1")).id == "es1"


@pytest.mark.parametrize("is_first", [True, False])
def test_cancelled_at_any_moment(live, is_first):
    """As asyncio does it: once, also where httpx shields itself. No connection waits for itself ever after."""

    async def has_cancelled(moment):
        async with AsyncExperimentsClient("k", base_url=live.url, deadline=3, max_attempts=1) as client:
            if not is_first:
                await client.state("es1")
            task = asyncio.create_task(cancelled(client.state("es1"), moment))
            await asyncio.wait([task])
            assert await client.state("es1") == RUNNING
            await soon(lambda: live.connections() == 1)
        await soon(lambda: live.connections() == 0)
        return task.cancelled()

    async def main():
        return [await has_cancelled(moment) for moment in range(30)]

    outcomes = asyncio.run(main())
    assert outcomes[0]
    assert not outcomes[-1]


async def test_more_are_cancelled_than_there_are_connections(flaky):
    """They give back their places: those that wait for one, too."""
    flaky.plan = [hang] * 1000
    async with AsyncExperimentsClient("k", base_url=flaky.url) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(120):
                tasks.start_soon(client.get, "es1")
            await soon(lambda: len(flaky.requests) == 100)
            tasks.cancel_scope.cancel()
        flaky.plan.clear()
        with anyio.fail_after(5):
            assert (await client.get("es1")).id == "es1"


async def test_a_generator_that_is_left(live):
    """Closing it asks nothing more, and the client goes on with the same connection."""
    live.print(3)
    async with AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url) as client:
        rows = client.yield_logs("es1")
        assert (await rows.__anext__()).line == 1
        await rows.aclose()
        asked = len(live.requests)
        assert await client.state("es1") == RUNNING
        assert (len(live.requests), live.connections()) == (asked + 1, 1)


async def test_held_requests_leave_connections_for_others(live):
    """However many follow at once, 50 requests at most are held; everybody else gets answers meanwhile."""

    def held():
        return [query for query in live.asked() if float(query.get("wait", 0))]

    client = AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url)
    async with client, anyio.create_task_group() as tasks:
        for _ in range(60):
            tasks.start_soon(follow, client)
        await soon(lambda: len(held()) >= 50 and len(live.asked()) >= 80)
        assert len(held()) == 50
        with anyio.fail_after(5):
            assert await client.state("es1") == RUNNING
        tasks.cancel_scope.cancel()
    live.change(state=STOPPED)


def run(script, url):
    made = f"client = AsyncExperimentsClient('k', base_url={url!r}, logs_url={url!r})\n"
    return subprocess.run(
        [sys.executable, "-c", "from gradient import AsyncExperimentsClient\n" + made + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_several_event_loops_and_never_closed(live, library):
    """A client that is made outside of any event loop works in one after the other, and ends without a word."""
    done = run(
        f"import {library}\n"
        "async def main():\n"
        "    print(await client.state('es1'), len([row async for row in client.yield_logs('es1')]))\n"
        + (f"{library}.run(main{'()' if library == 'asyncio' else ''})\n" * 3),
        (live.print(2, end=True), live.url)[1],
    )
    assert (done.stdout, done.stderr) == ("4 2\n" * 3, "")


def test_a_client_of_the_users_own_belongs_to_one_event_loop(live):
    """In another one its connections would break; the error says so."""
    done = run(
        "import anyio, httpx\n"
        f"client = AsyncExperimentsClient('k', base_url={live.url!r}, http_client=httpx.AsyncClient())\n"
        "print(anyio.run(client.state, 'es1'))\n"
        "anyio.run(client.state, 'es1')\n",
        live.url,
    )
    assert done.stdout == "4\n"
    assert "gradient.GradientSdkError: The http_client of this client" in done.stderr
    assert "event loop" in done.stderr
