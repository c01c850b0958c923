"""Answers as bad networks give them: late, in pieces, cut off, not at all, or from somebody else."""

from __future__ import annotations

import asyncio
import math
import time
from email.utils import formatdate
from http import HTTPStatus
from itertools import pairwise

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gradient_server.api.long_poll import gone

PIECES = 20
"""In how many pieces a slow body comes, at most."""
_PAGE = """\
<html>
<head><title>{title}</title></head>
<body><center><h1>{title}</h1></center><hr><center>a proxy that is not there (fault on purpose)</center></body>
</html>
"""


def error(status: int, *, html: bool, retry_after: int | None, as_date: bool) -> Response:
    """Make the answer of a server, or of a proxy before it, that cannot do what it is asked."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown error"
    headers: dict[str, str] = {}
    if retry_after is not None:
        # A date has no fractions of seconds; it must not be earlier than the seconds say.
        date = formatdate(math.ceil(time.time()) + retry_after, usegmt=True)
        headers["Retry-After"] = date if as_date else str(retry_after)
    if html:
        return HTMLResponse(_PAGE.format(title=f"{status} {phrase}"), status, headers)
    return JSONResponse({"details": "This is a fault on purpose", "error": phrase}, status, headers)


class Reset(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Break the connection that the request came on."""
        scope["state"]["connection"].reset()
        await gone(receive)


class _Spoiled(Response):
    """An answer that is not sent as it should be.

    :param Response answer: the answer
    """

    def __init__(self, answer: Response) -> None:
        self._answer = answer
        self.status_code = answer.status_code
        self.body = answer.body
        self.raw_headers = answer.raw_headers

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


class Truncated(_Spoiled):
    """An answer whose connection ends in the middle of the body, after a share of it.

    :param Response answer: the answer, one with a body of two bytes or more
    :param float share: from 0 to below 1
    """

    def __init__(self, answer: Response, share: float) -> None:
        super().__init__(answer)
        self._share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise all, send some, and close."""
        await self._begin(send)
        await send({"type": "http.response.body", "body": part_of(self, self._share), "more_body": True})
        scope["state"]["connection"].close()
        await gone(receive)


class Dripping(_Spoiled):
    """An answer whose body comes in pieces.

    :param Response answer: the answer, one with a body
    :param float seconds: how long it takes
    """

    def __init__(self, answer: Response, seconds: float) -> None:
        super().__init__(answer)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, send a piece, and so on."""
        body = bytes(self.body)
        count = min(PIECES, len(body))
        ends = [len(body) * number // count for number in range(count + 1)]
        await self._begin(send)
        for begin, end in pairwise(ends):
            if await _leaves(self._seconds / count, receive):
                return
            await send({"type": "http.response.body", "body": body[begin:end], "more_body": end < len(body)})


class HeldBack(_Spoiled):
    """An answer that comes late.

    :param Response answer: the answer
    :param float seconds: how late
    """

    def __init__(self, answer: Response, seconds: float) -> None:
        super().__init__(answer)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and answer if somebody still waits for it."""
        if not await _leaves(self._seconds, receive):
            await self._answer(scope, receive, send)


def part_of(answer: Response, share: float) -> bytes:
    """Cut the body of an answer; what is left is neither nothing nor all, where it has two bytes or more."""
    body = bytes(answer.body)
    return body[: 1 + int(share * (len(body) - 1))]


async def _leaves(seconds: float, receive: Receive) -> bool:
    """Wait, and say whether the client has gone in the meantime."""
    try:
        async with asyncio.timeout(seconds):
            await gone(receive)
    except TimeoutError:
        return False
    return True
