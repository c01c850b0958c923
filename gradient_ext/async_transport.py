# Written from transport.py by `make generate`. Do not edit.
"""HTTP: connections, and what is sent through them, again where that may help."""

from __future__ import annotations

import anyio
import httpx
from attrs import field, frozen

from gradient_ext.attempts import Attempts
from gradient_ext.calls import Answer, Call, Reply
from gradient_ext.config import Configuration
from gradient_ext.errors import GradientSdkError
from gradient_ext.exchange import LIMITS, MOST_CONNECTIONS, Exchange, refused_environment
from gradient_ext.home import MOVED, is_elsewhere
from gradient_ext.home import process_and_loop as home
from gradient_ext.options import Options


class AsyncConnections:
    """The connections of one client; in another process, after a fork, it gets new ones.

    :param httpx.AsyncClient http_client: the user's own client to send through; it is never closed here
    """

    def __init__(self, http_client: httpx.AsyncClient | None = None) -> None:
        self._given = http_client
        self._client = http_client or _new_client()
        self._home = home()
        self._is_closed = False
        self.places: anyio.Semaphore = anyio.Semaphore(MOST_CONNECTIONS)
        """One for each connection: who waits for one here costs nothing, in a queue of httpx everybody would pay."""
        self.held: set[int] = set()
        """The calls that a server may be holding open now."""

    def client(self) -> httpx.AsyncClient:
        """Give the httpx client to send through.

        :raises GradientSdkError: there is none any more
        """
        if self._is_closed:
            raise GradientSdkError("This client is closed; make another one")
        if self._given and self._given.is_closed:
            raise GradientSdkError("The http_client of this client is closed; make another one of each")
        here = home()
        if is_elsewhere(self._home, here):
            if self._given:
                raise GradientSdkError(MOVED)
            # The old one is left alone, not closed: its connections belong where it was made.
            self._client = _new_client()
            self.places = anyio.Semaphore(MOST_CONNECTIONS)
        self._home = here
        return self._client

    async def close(self) -> None:
        """Close them, unless they are the user's; nothing is sent any more in either case."""
        self._is_closed = True
        if not self._given and not is_elsewhere(self._home, home()):
            await self._client.aclose()


def _new_client() -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(limits=LIMITS)
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        refusal = refused_environment(error)
    raise refusal


@frozen
class AsyncTransport:
    """What sends the calls of one client.

    :param Configuration configuration: the key and the addresses
    :param Options options: timeouts and retries
    :param AsyncConnections connections: what to send through
    """

    configuration: Configuration
    options: Options
    connections: AsyncConnections = field(repr=False)

    async def send(self, call: Call[Answer]) -> Answer:
        """Send a call, again where that may help, and return its answer.

        :raises ResourceFetchingError: the server answered with an error
        :raises MalformedResponseError: it answered with success, but not with what the contract says
        :raises RequestFailedError: there was no answer
        :raises RequestTimeoutError: there was no answer in time
        """
        attempts = Attempts(self.options.retries)
        if call.wait:
            self.connections.held.add(id(call))
        try:
            async for attempt in attempts.each():
                with attempt:
                    attempts.number += 1
                    return await self._attempt(call, attempts)
            raise AssertionError("the last attempt has neither answered nor failed")
        finally:
            self.connections.held.discard(id(call))

    async def _attempt(self, call: Call[Answer], attempts: Attempts) -> Answer:
        client = self.connections.client()
        async with self.connections.places:
            exchange = Exchange(
                call=call,
                configuration=self.configuration,
                options=self.options,
                attempt=attempts.number,
                remaining=attempts.remaining,
            )
            try:
                outcome: Reply | BaseException = await self._exchange(client, exchange)
            except BaseException as error:
                outcome = exchange.outcome(error)
        if isinstance(outcome, BaseException):
            exchange.fail(outcome)
        answer: Answer = exchange.meaning(outcome)
        return answer

    async def _exchange(self, client: httpx.AsyncClient, exchange: Exchange) -> Reply:
        with anyio.fail_after(exchange.remaining):
            async with client.stream(**exchange.request()) as response:
                body: list[bytes] = []
                async for chunk in response.aiter_bytes():
                    body.append(chunk)
                return exchange.reply(response, body)
