"""An asynchronous client to be used like the other one, so that the same tests are for both."""

import contextlib
import inspect

from anyio.from_thread import start_blocking_portal

from gradient import AsyncExperimentsClient, ExperimentsClient

KINDS = ("threads", "asyncio")
"""What the tests of behaviour run for. Those of `test_async.py` run for trio, too."""


class Blocking:
    """A client whose coroutines are run to their end, in the event loop of a portal; from any thread.

    :param portal: where the event loop is
    :param AsyncExperimentsClient client: the client
    """

    def __init__(self, portal, client):
        self._portal = portal
        self._client = client

    def __repr__(self):
        return repr(self._client).removeprefix("Async")

    def __enter__(self):
        self._run(self._client.__aenter__())
        return self

    def __exit__(self, *about):
        self._run(self._client.__aexit__(*about))

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*arguments, **keywords):
            result = found(*arguments, **keywords)
            if isinstance(result, AsyncExperimentsClient):
                return Blocking(self._portal, result)
            if inspect.isasyncgen(result):
                return self._each(result)
            return self._run(result) if inspect.iscoroutine(result) else result

        return call

    def _run(self, coroutine):
        async def run():
            return await coroutine

        return self._portal.call(run)

    def _each(self, generator):
        try:
            while True:
                try:
                    yield self._run(generator.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._run(generator.aclose())


@contextlib.contextmanager
def client_of(kind, *arguments, **keywords):
    """Make a client of a kind, to be used as an ExperimentsClient is."""
    if kind == "threads":
        with ExperimentsClient(*arguments, **keywords) as client:
            yield client
        return
    with (
        start_blocking_portal(kind) as portal,
        Blocking(portal, AsyncExperimentsClient(*arguments, **keywords)) as client,
    ):
        yield client
