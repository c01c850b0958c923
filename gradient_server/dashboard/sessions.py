"""Who has given the key. Sessions are random tokens in memory: the key itself is in no cookie and in no address."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

SECONDS = 12 * 3600.0
"""For how long a session lasts that nobody uses."""
MOST = 1_000
"""How many sessions there can be; the one that was used longest ago gives way."""


class Sessions:
    """All sessions.

    :param now: gives seconds that go forward
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        # By when they were used last, the oldest first.
        self._used: dict[str, float] = {}

    def begin(self) -> str:
        """Begin a session; its token."""
        token = secrets.token_urlsafe(32)
        while len(self._used) >= MOST:
            del self._used[next(iter(self._used))]
        self._used[token] = self._now()
        return token

    def is_there(self, token: str) -> bool:
        """Say whether a token is that of a session, which is then used."""
        used = self._used.pop(token, None)
        if used is None or self._now() - used > SECONDS:
            return False
        self._used[token] = self._now()
        return True

    def end(self, token: str) -> None:
        """End a session, if it is one."""
        self._used.pop(token, None)
