"""How many connections may be open, and which one goes when there is one too many."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import Protocol, TypeVar

MOST = 1000


class Connection(Protocol):
    """A connection that can say whose turn it is."""

    quiet_since: float

    @property
    def waits_for_client(self) -> bool:
        """Whether it is the turn of the client."""
        ...


_One = TypeVar("_One", bound=Connection)


def most_connections() -> int:
    """Say how many connections may be open. Some of the files that the process may open are left for other things."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft * 3 // 4)


def longest_waiting(connections: Iterable[_One]) -> _One | None:
    """Give the connection that goes: the one without an answer for the longest time; None: the server works for all.

    Sending a byte now and then does not help a connection that ought to go.
    """
    return min((one for one in connections if one.waits_for_client), key=lambda one: one.quiet_since, default=None)
