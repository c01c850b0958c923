"""The asynchronous client alone: cancelled tasks, several event loops, many tasks at once."""

import asyncio
import functools
import itertools
import logging
import subprocess
import sys
import types

import anyio
import anyio.to_thread
import pytest

from gradient import AsyncExperimentsClient, constants
from tests.fake_servers import LOGS, STATE, hang, status

pytestmark = pytest.mark.anyio
RUNNING, STOPPED = constants.ExperimentState.RUNNING, constants.ExperimentState.STOPPED


async def follow(client):
    async for _ in client.yield_logs("es1"):
        pass


async def wait(client):
    await client.wait("es1")


async def cancelled(coroutine, moment):
    """Await something, and cancel this task when it awaits for the time with this number."""

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
    """Wait until a condition holds."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize(("act", "path"), [(follow, LOGS), (wait, STATE)])
async def test_cancelling_a_long_poll_closes_its_connection_and_the_client_goes_on(live, act, path):
    async with AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(act, client)
            await soon(lambda: live.long_polls(path))
            tasks.cancel_scope.cancel()
        count = len(live.requests)
        live.change(state=STOPPED)  # Only then does the server see that the connection is closed.
        await soon(lambda: live.connections() == 0)
        assert await client.state("es1") == STOPPED
        assert len(live.requests) == count + 1
    await soon(lambda: live.connections() == 0)


async def test_cancelling_the_pause_between_attempts_prevents_the_next_one(flaky, caplog):
    caplog.set_level(logging.INFO, "gradient")
    flaky.plan = [status(503, Retry_After="50")]
    async with AsyncExperimentsClient("k", base_url=flaky.url) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.start, "es1")
            await soon(lambda: "the next one is in" in caplog.text)
            tasks.cancel_scope.cancel()
        assert (await client.get("es1")).id == "es1"
        assert [request.method for request in flaky.requests] == ["PUT", "GET"]


@pytest.mark.parametrize("is_first", [True, False])
def test_after_a_cancellation_at_any_moment_the_next_call_succeeds(live, is_first):
    """As asyncio cancels: once, also where httpx shields itself."""

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


async def test_cancelled_calls_free_their_connections_and_those_that_wait_for_one_stop_waiting(flaky):
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


async def test_closing_a_generator_requests_nothing_and_the_client_goes_on_with_the_same_connection(live):
    live.print(3)
    async with AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url) as client:
        rows = client.yield_logs("es1")
        assert (await rows.__anext__()).line == 1
        await rows.aclose()
        count = len(live.requests)
        assert await client.state("es1") == RUNNING
        assert (len(live.requests), live.connections()) == (count + 1, 1)


async def test_however_many_follow_at_once_at_most_50_long_polls_leave_connections_for_other_calls(live):
    def held():
        return [request for request in live.long_polls(LOGS) if float(request.query["wait"])]

    client = AsyncExperimentsClient("k", base_url=live.url, logs_url=live.url)
    async with client, anyio.create_task_group() as tasks:
        for _ in range(60):
            tasks.start_soon(follow, client)
        await soon(lambda: len(held()) >= 50 and len(live.requests_to(LOGS)) >= 80)
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
def test_a_client_works_in_one_event_loop_after_the_other_and_need_not_be_closed(live, library):
    live.print(2, end=True)
    done = run(
        f"import {library}\n"
        "async def main():\n"
        "    print(await client.state('es1'), len([row async for row in client.yield_logs('es1')]))\n"
        + (f"{library}.run(main{'()' if library == 'asyncio' else ''})\n" * 3),
        live.url,
    )
    assert (done.stdout, done.stderr) == ("4 2\n" * 3, "")


def test_an_http_client_of_the_user_is_refused_in_another_event_loop(live):
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
