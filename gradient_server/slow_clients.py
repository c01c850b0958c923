"""Clients that take their time, on purpose or not: how long for each part of a request, and what is too long.

Once a second somebody looks at all connections. What a connection waits for has a name that changes with every step
forward; a name that stays the same for too long belongs to a client that is too slow. So requests themselves cost
nothing, and a byte now and then does not count as a step.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from attrs import frozen


class Part(Enum):
    """What a client is to do; the value is the word for it."""

    HEAD = "head of the request"
    BODY = "body of the request"
    ANSWER = "answer"


SECONDS = {Part.HEAD: 20.0, Part.BODY: 120.0, Part.ANSWER: 30.0}
"""How long the head may take, and the body, and each step of reading the answer."""
STEP = 2**14
"""Bytes of an answer that have to be read in that time."""


@frozen
class Step:
    """What a client owes.

    :param Part part: what it is to send, or to read
    :param which: tells this step from others
    """

    part: Part
    which: Hashable


class Connection(Hashable, Protocol):
    """A connection that can say what it waits for."""

    @property
    def owed(self) -> Step | None:
        """What the client is to do; None: it is the server's turn, or nobody's."""


_One = TypeVar("_One", bound=Connection)


class SlowClients(Generic[_One]):
    """Knows since when each connection waits for what it waits for."""

    def __init__(self) -> None:
        self._since: dict[_One, tuple[Step, float]] = {}

    def found(self, connections: Iterable[_One], now: float) -> list[tuple[_One, Part]]:
        """Look at all connections; give those that wait for too long, and for what.

        :param connections: all that are open
        :param float now: seconds
        """
        before, self._since = self._since, {}
        for connection in connections:
            step = connection.owed
            if step is not None:
                known = before.get(connection)
                self._since[connection] = known if known and known[0] == step else (step, now)
        return [
            (connection, step.part)
            for connection, (step, since) in self._since.items()
            if now - since > SECONDS[step.part]
        ]
