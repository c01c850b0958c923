"""Responses as bad networks deliver them: late, in pieces, cut off, not at all, or sent by a proxy."""

from __future__ import annotations

import asyncio
import math
import time
from email.utils import formatdate
from http import HTTPStatus
from itertools import pairwise

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gradient_server.api.long_poll import wait_for_disconnect
from gradient_server.faults.settings import Fault, Faults

PIECES = 20
"""The largest number of pieces in which a slow body is sent."""
_PAGE = """\
<html>
<head><title>{title}</title></head>
<body><center><h1>{title}</h1></center><hr><center>a proxy that is not there (injected fault)</center></body>
</html>
"""


def error_response(fault: Fault, faults: Faults) -> Response:
    """Return the response of a server, or of a proxy in front of it, that cannot act."""
    phrase = HTTPStatus(fault.status).phrase if fault.status in set(HTTPStatus) else "Unknown error"
    headers: dict[str, str] = {}
    if faults.retry_after is not None:
        # A date has no fractions of seconds; it must not be before the seconds are over.
        date = formatdate(math.ceil(time.time()) + faults.retry_after, usegmt=True)
        headers["Retry-After"] = date if faults.retry_after_date else str(int(faults.retry_after))
    if fault.html:
        return HTMLResponse(_PAGE.format(title=f"{fault.status} {phrase}"), fault.status, headers)
    return JSONResponse({"details": "This is an injected fault", "error": phrase}, fault.status, headers)


class ResetResponse(Response):
    """No response: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection of the request."""
        scope["state"]["connection"].reset()
        await wait_for_disconnect(receive)


class _FaultResponse(Response):
    """A response that is not sent as it should be.

    :param Response response: what should be sent
    :param float amount: how much of the body is sent, from 0 to below 1; or how many seconds it takes
    """

    def __init__(self, response: Response, amount: float) -> None:
        self._response = response
        self._amount = amount
        self.status_code = response.status_code
        self.body = response.body
        self.raw_headers = response.raw_headers

    async def _send_head(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


class TruncatedResponse(_FaultResponse):
    """A response whose connection is closed in the middle of the body, which has two bytes or more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce the whole body, send a part of it, and close the connection."""
        await self._send_head(send)
        await send({"type": "http.response.body", "body": part_of(self, self._amount), "more_body": True})
        scope["state"]["connection"].close()
        await wait_for_disconnect(receive)


class ThrottledResponse(_FaultResponse):
    """A response whose body, of at least one byte, is sent in pieces."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body piece by piece, with pauses."""
        body = bytes(self.body)
        count = min(PIECES, len(body))
        ends = [len(body) * number // count for number in range(count + 1)]
        await self._send_head(send)
        for begin, end in pairwise(ends):
            if await _disconnects_within(self._amount / count, receive):
                return
            await send({"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)})


class DelayedResponse(_FaultResponse):
    """A response that is sent late."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and send the response if the client is still there."""
        if not await _disconnects_within(self._amount, receive):
            await self._response(scope, receive, send)


def part_of(response: Response, share: float) -> bytes:
    """Return the beginning of a body: neither nothing nor all of it, where it has two bytes or more."""
    body = bytes(response.body)
    return body[: 1 + int(share * (len(body) - 1))]


async def _disconnects_within(seconds: float, receive: Receive) -> bool:
    """Wait, and return whether the client has disconnected."""
    try:
        async with asyncio.timeout(seconds):
            await wait_for_disconnect(receive)
    except TimeoutError:
        return False
    return True
