"""The connections of a client, and its places in the queue for them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gradient_ext.home import MOVED, Home, is_elsewhere
from gradient_ext.home import process as home
from gradient_ext.root_error import GradientSdkError

if TYPE_CHECKING:
    import httpx

    from gradient_ext.drafts import Drafts

MOST_CONNECTIONS = 100


class Connections:
    """The connections of one client; in another process, after a fork, it gets new ones.

    They are made when they are used first: making them takes longer than everything else that a new client does.

    :param httpx.Client http_client: the user's own client to send through; it is never closed here
    """

    def __init__(self, http_client: httpx.Client | None = None) -> None:
        self._given = http_client
        self._client = http_client
        self._home = home()
        self._is_closed = False
        self._making = threading.Lock()
        self.held: set[int] = set()
        """The calls that a server may be holding open now."""
        self.drafts: Drafts | None = None
        """What has been put together of the requests of a client of ours; None: it is the user's."""
        self.places: threading.Semaphore = threading.Semaphore(MOST_CONNECTIONS)
        """One for each connection: who waits for one here costs nothing, in a queue of httpx everybody would pay."""

    def client(self) -> httpx.Client:
        """Give the httpx client to send through.

        :raises GradientSdkError: there is none any more
        """
        if self._is_closed:
            raise GradientSdkError("This client is closed; make another one")
        if self._given and self._given.is_closed:
            raise GradientSdkError("The http_client of this client is closed; make another one of each")
        here = home()
        if here != self._home:
            self._move(here)
        return self._make() if self._client is None else self._client

    def _move(self, here: Home) -> None:
        if is_elsewhere(self._home, here):
            if self._given:
                raise GradientSdkError(MOVED)
            # The old one is left alone, not closed: its connections belong where it was made. So do its locks.
            self._client = None
            self._making = threading.Lock()
            self.places = threading.Semaphore(MOST_CONNECTIONS)
        self._home = here

    def _make(self) -> httpx.Client:
        from gradient_ext.drafts import Drafts

        with self._making:
            if self._client is None:
                self.drafts = Drafts()
                self._client = _new_client()
            return self._client

    def close(self) -> None:
        """Close them, unless they are the user's; nothing is sent any more in either case."""
        self._is_closed = True
        if self._client and not self._given and not is_elsewhere(self._home, home()):
            self._client.close()


def _new_client() -> httpx.Client:
    import httpx

    from gradient_ext.exchange import certificates, refused_environment

    try:
        limits = httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS)
        return httpx.Client(limits=limits, verify=certificates())
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        refusal = refused_environment(error)
    raise refusal
