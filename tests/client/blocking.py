"""An asynchronous client with the interface of the synchronous one, so that one test covers both."""

import contextlib
import inspect

from anyio.from_thread import start_blocking_portal

from gradient import AsyncExperimentsClient, AsyncProjectsClient, ExperimentsClient, ProjectsClient

KINDS = ("threads", "asyncio")
"""The clients that tests of behaviour run with. Those of `test_async.py` run with trio, too."""
CLIENTS = {
    "experiments": (ExperimentsClient, AsyncExperimentsClient),
    "projects": (ProjectsClient, AsyncProjectsClient),
}


class Blocking:
    """A client whose coroutines run in the event loop of a portal, called from any thread.

    :param portal: the portal into the event loop
    :param client: an asynchronous client
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
            if isinstance(result, type(self._client)):
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
def client_of(kind, *arguments, of="experiments", **keywords):
    """Return a client of a kind, with the interface of the synchronous one."""
    synchronous, asynchronous = CLIENTS[of]
    if kind == "threads":
        with synchronous(*arguments, **keywords) as client:
            yield client
        return
    with start_blocking_portal(kind) as portal, Blocking(portal, asynchronous(*arguments, **keywords)) as client:
        yield client
