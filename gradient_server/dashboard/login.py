"""Login links: addresses that log in once, without typing the key, as that of Jupyter does.

Whoever has the API key signs a link with it, so that the command line makes one without a request. A link is for the
user who made it: the arguments of a browser are visible to the other users of the machine.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable

LINK_SECONDS = 3600
"""How long a link can be used."""
LOGIN_PATH = "/page/login"


def login_link(url: str, api_key: str) -> str:
    """Return an address that logs this user in, once and within an hour.

    :param str url: the address of the server
    :param str api_key: its key
    """
    content = f"{int(time.time()) + LINK_SECONDS + 1}.{os.getuid()}.{secrets.token_urlsafe(16)}"
    return f"{url.rstrip('/')}{LOGIN_PATH}?token={content}.{_signature(content, api_key)}"


class LoginLinks:
    """Checks the tokens of login links.

    :param str api_key: the key that links are signed with
    :param now: returns seconds since the epoch
    """

    def __init__(self, api_key: str, now: Callable[[], float] = time.time) -> None:
        self._api_key = api_key
        self._now = now
        self._started = now()
        # The used ones, with their expiry.
        self._used: dict[str, int] = {}

    def is_genuine(self, token: str) -> bool:
        """Whether a token is signed with the key; it may be expired or used."""
        content, _, signature = token.rpartition(".")
        return hmac.compare_digest(signature.encode(errors="replace"), _signature(content, self._api_key).encode())

    def redeem(self, token: str, owner: str) -> bool:
        """Whether a genuine token logs somebody in; it does so once.

        :param str owner: who sent it, as `owner_of` returns it
        """
        expiry, user, _ = token.split(".", 2)
        now = self._now()
        self._used = {used: until for used, until in self._used.items() if until > now}
        # An earlier server may have seen a token that is older than this one.
        is_current = now < int(expiry) and int(expiry) - LINK_SECONDS >= self._started
        is_of_other_user = owner.startswith("user ") and owner != f"user {user}"
        if not is_current or is_of_other_user or token in self._used:
            return False
        self._used[token] = int(expiry)
        return True


def _signature(content: str, api_key: str) -> str:
    text = f"gradient login link {content}"
    return hmac.new(api_key.encode(), text.encode(errors="replace"), hashlib.sha256).hexdigest()
