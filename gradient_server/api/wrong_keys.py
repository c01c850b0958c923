"""How often somebody has given a wrong key: who guesses is told to wait. Pure, but for the clock.

On this machine everybody has the same address. Were the right key refused there, too, anybody could lock its owner out
by guessing; so it is always let in, and what keeps guesses from succeeding is that keys are long. An address of another
machine is its own: there, every key is refused for a while, and guessing is slow.
"""

from __future__ import annotations

import ipaddress
import time
from collections import deque
from collections.abc import Callable

MOST = 20
"""Wrong keys in a period; those who mistype a key, and try and try, stay below."""
PERIOD = 60.0
"""Seconds."""
MOST_PEERS = 1000
OWN_MACHINE = "this machine"
_OTHERS = "all others"


class WrongKeys:
    """The wrong keys of the last minute, in memory that is bounded.

    :param clock: gives seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moments: dict[str, deque[float]] = {}

    @property
    def peers(self) -> int:
        """How many are counted apart."""
        return len(self._moments)

    def seconds_to_wait(self, peer: str) -> float:
        """Say for how long guesses of a peer are not looked at any more; 0: they are."""
        moments = self._moments.get(peer) or self._moments.get(_OTHERS)
        if moments is None or len(moments) < MOST:
            return 0
        return max(0, moments[0] + PERIOD - self._clock())

    def count(self, peer: str) -> None:
        """Count a wrong key of a peer."""
        now = self._clock()
        if peer not in self._moments and len(self._moments) >= MOST_PEERS:
            self._forget_those_before(now - PERIOD)
            if len(self._moments) >= MOST_PEERS:
                # So many at a time belong to somebody who has many addresses: they are one.
                peer = _OTHERS
        self._moments.setdefault(peer, deque(maxlen=MOST)).append(now)

    def forget(self) -> None:
        """Forget all of them."""
        self._moments.clear()

    def _forget_those_before(self, moment: float) -> None:
        for peer in [peer for peer, moments in list(self._moments.items()) if moments[-1] < moment]:
            self._moments.pop(peer, None)


def peer_of(address: str) -> str:
    """Name who has an address: this machine, or another one, or a network of one that chooses among 2**64 addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    if found.is_loopback:
        return OWN_MACHINE
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
