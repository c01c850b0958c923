import pytest
from unasync import derive

SOURCE = '''\
"""Wait in an asynchronous client, an `async with` block."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import anyio
from gradient_api.api.logs import get_logs

from gradient_ext.async_transport import AsyncTransport

# sync: FLAVOUR = "threads"


class AsyncThing(AsyncTransport):
    async def follow(self, check: Callable[[int], Awaitable[list[int]]]) -> AsyncGenerator[dict[str, int], None]:
        """>>> async for each in await thing.follow():"""
        with anyio.fail_after(5):  # sync: if True:
            await anyio.sleep(1)
        await get_logs.asyncio_detailed("a")
        self.group = anyio.create_task_group()  # sync:
        async with aclosing(self.rows()) as rows:
            async for row in rows:
                yield row
'''
DERIVED = '''# Derived from async_client.py by `make generate`. Do not edit.
"""Wait in a client, a `with` block."""

import time
from collections.abc import Callable, Generator
from contextlib import closing

from gradient_api.api.logs import get_logs

from gradient_ext.transport import Transport

FLAVOUR = "threads"


class Thing(Transport):
    def follow(self, check: Callable[[int], list[int]]) -> Generator[dict[str, int], None, None]:
        """>>> for each in thing.follow():"""
        if True:
            time.sleep(1)
        get_logs.sync_detailed("a")

        with closing(self.rows()) as rows:
            yield from rows
'''


def test_the_synchronous_text_follows_from_the_asynchronous_one():
    assert derive(SOURCE) == DERIVED


def test_what_does_not_compile_names_the_line_of_the_source():
    with pytest.raises(SyntaxError) as caught:
        derive("x = 1\nasync def f(:\n    pass\n")
    assert (caught.value.filename, caught.value.lineno) == ("async_client.py", 2)
