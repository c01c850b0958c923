"""The key of a request: whether it is the right one, and what is answered where it is not."""

from __future__ import annotations

import math
import secrets

from starlette.requests import Request

from gradient_server.api import responses as answers
from gradient_server.api.responses import Answer
from gradient_server.api.wrong_keys import OWN_MACHINE, WrongKeys, peer_of
from gradient_server.settings import DEFAULT_KEY


class KeyCheck:
    """Compares keys, in a time from which nothing follows about them, and lets nobody guess for long.

    :param str header: the header in which requests carry their key
    :param str api_key: the right key
    :param WrongKeys wrong_keys: counts those that are wrong; default: counts of its own
    """

    def __init__(self, header: str, api_key: str, wrong_keys: WrongKeys | None = None) -> None:
        self._header = header
        self._right = api_key.encode()
        # The default key is written in the documentation; nobody has to guess it.
        self._wrong_keys = None if api_key == DEFAULT_KEY else wrong_keys or WrongKeys()

    def refusal(self, request: Request, otherwise: Answer) -> Answer | None:
        """Give the answer to a request that has not the right key; None: it has.

        :param Answer otherwise: the answer to a wrong key, as long as there are not too many
        """
        return self.refusal_of(request.headers.get(self._header, ""), request, otherwise)

    def refusal_of(self, given: str, request: Request, otherwise: Answer) -> Answer | None:
        """Give the answer to a key that is not the right one, wherever it was in a request; None: it is.

        :param Answer otherwise: as for `refusal`
        """
        encoded = given.encode(errors="replace")
        is_right = secrets.compare_digest(encoded, self._right)
        if not given or self._wrong_keys is None:
            return None if is_right else otherwise
        peer = peer_of(request.client.host if request.client else "")
        wait = self._wrong_keys.seconds_to_wait(peer)
        if is_right and (not wait or peer == OWN_MACHINE):
            return None
        if wait:
            return answers.too_many_wrong_keys(math.ceil(wait))
        self._wrong_keys.count(peer)
        return otherwise
