"""The connections of a client, and its places in the queue for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from gradient_ext.errors import ConfigurationError, GradientSdkError
from gradient_ext.home import MOVED, Home, is_elsewhere
from gradient_ext.home import process as home
from gradient_ext.places import Places

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    import httpx

    from gradient_ext.drafts import Drafts

MOST_CONNECTIONS = 100
_LONGEST_REST = 5.0
"""After how many seconds httpx does not use a connection again either."""
_SUDDEN = (GeneratorExit, KeyboardInterrupt, SystemExit)
"""What comes at any moment: locks may be locked, and a coroutine that is closed must not wait for anything."""


class Connections:
    """The connections of one client; in another process, after a fork, it gets new ones.

    They are made when they are used first: making them takes longer than everything else that a new client does. Each
    has an httpx client of its own, as httpx looks at all connections of a client whenever one of them is used: with
    fifty, that takes longer than the calls.

    :param httpx.Client http_client: the user's own client to send through; it is never closed here

    :raises ConfigurationError: it is no such client
    """

    def __init__(self, http_client: httpx.Client | None = None) -> None:
        if http_client is not None:
            _check_kind(http_client)
        self._given = http_client
        self._home = home()
        self._is_closed = False
        self.held: set[int] = set()
        """The calls that a server may be holding open now."""
        self.drafts: Drafts | None = None
        """What the requests of all connections have in common; None: they are those of the user's client."""
        self._cookies: CookieJar | None = None
        self._begin()

    def _begin(self) -> None:
        self.places: Places = Places(MOST_CONNECTIONS)
        """One for each connection: who waits for one here costs nothing, in a queue of httpx everybody would pay."""
        self._changing = threading.Lock()
        self._lines: set[httpx.Client] = set()
        self._resting: dict[str, deque[tuple[httpx.Client, float]]] = {}

    def check(self) -> None:
        """See that there is something to send through.

        :raises GradientSdkError: there is not any more
        """
        self._refuse_if_closed()
        if self._given is not None and self._given.is_closed:
            raise GradientSdkError("The http_client of this client is closed; make another one of each")
        here = home()
        if here != self._home:
            self._move(here)

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise GradientSdkError("This client is closed; make another one")

    def _move(self, here: Home) -> None:
        if is_elsewhere(self._home, here):
            if self._given is not None:
                raise GradientSdkError(MOVED)
            # The old ones are left alone, not closed: they belong where they were made. So do their locks.
            self._begin()
        self._home = here

    def take(self, host: str) -> httpx.Client:
        """Give the httpx client to send through; who has one of the places may do so.

        :param str host: where to: the connection that was used last for that is the best one

        :raises GradientSdkError: it has been closed meanwhile
        """
        if self._given is not None:
            return self._given
        with self._changing:
            self._refuse_if_closed()
            resting = self._resting.get(host)
            if resting:
                return resting.pop()[0]
            if len(self._lines) >= MOST_CONNECTIONS:
                for others in self._resting.values():
                    if others:
                        return others.popleft()[0]
            line = self._new_line()
            self._lines.add(line)
            return line

    def give_back(self, line: httpx.Client, host: str) -> None:
        """Let others use it; what was made elsewhere is left alone."""
        with self._changing:
            if line in self._lines:
                self._resting.setdefault(host, deque()).append((line, time.monotonic()))

    def drop(self, line: httpx.Client, outcome: BaseException) -> None:
        """Close one that has failed, or that nobody has waited for to the end.

        It may be one that never works again: tasks are cancelled also where httpx has left it half open or half closed.

        :param BaseException outcome: what has happened; if that was sudden, Python closes it when nobody has it
        """
        with self._changing:
            is_ours = line in self._lines
            self._lines.discard(line)
        if is_ours and not isinstance(outcome, _SUDDEN):
            line.close()

    def tidy(self) -> None:
        """Close a connection that has not been used for long."""
        line = self._line_at_rest()
        if line is not None:
            line.close()

    def close(self) -> None:
        """Close them, unless they are the user's; nothing is sent any more in either case."""
        self._is_closed = True
        if not is_elsewhere(self._home, home()):
            with self._changing:
                lines = list(self._lines)
            for line in lines:
                line.close()

    def _line_at_rest(self) -> httpx.Client | None:
        before = time.monotonic() - _LONGEST_REST
        with self._changing:
            for resting in self._resting.values():
                if resting and resting[0][1] < before:
                    line, _ = resting.popleft()
                    self._lines.discard(line)
                    return line
        return None

    def _new_line(self) -> httpx.Client:
        from http.cookiejar import CookieJar

        import httpx

        from gradient_ext.drafts import Drafts
        from gradient_ext.exchange import certificates, refused_environment

        self.drafts = self.drafts or Drafts()
        self._cookies = CookieJar() if self._cookies is None else self._cookies
        try:
            limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
            return httpx.Client(limits=limits, verify=certificates(), cookies=self._cookies)
        except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
            refusal = refused_environment(error)
        raise refusal


def _check_kind(http_client: object) -> None:
    import httpx

    if not isinstance(http_client, httpx.Client):
        # The other kind sends what it is asked to, and gives what nobody here understands.
        raise ConfigurationError(f"http_client must be an httpx.Client, not {type(http_client).__name__}")
