"""Access to the server: authentication, rate limiter, trusted hosts, origin check.

A web page of any site can have its own name resolve to 127.0.0.1 and then talk to whatever listens here as if it were
that site (DNS rebinding); only the `Host` header gives it away. An address cannot be made to mean another machine, a
name can. So a server that listens on every address accepts every address as `Host`, and only the names it was told.
"""

from __future__ import annotations

import ipaddress
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable

from attrs import field, frozen
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gradient_server.api.responses import ApiResponse, forbidden, too_many_incorrect_keys
from gradient_server.settings import DEFAULT_KEY, Address, canonical_name, parse_address

MAX_INCORRECT_KEYS = 20
"""Incorrect API keys of one peer in a window; a person who mistypes a key stays below."""
RATE_LIMIT_WINDOW = 60.0
"""Seconds in which incorrect keys are counted."""
MAX_PEERS = 1000
THIS_MACHINE = "this machine"
_OTHER_PEERS = "other peers"

_HOST_HEADER = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(rf"(https?)://({_HOST_HEADER.pattern})", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CHECKED_HEADERS = (b"host", b"origin", b"sec-fetch-site")
_TRUSTED_SITES = ("same-origin", "none")
"""`Sec-Fetch-Site` of the server's own pages, and of an address that the user has typed."""
_MAX_QUOTED = 80
"""Characters of a header that an error repeats."""


# --- authentication


class RateLimiter:
    """Limits how many incorrect API keys a peer can try. Its memory is bounded.

    :param clock: returns monotonic seconds
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    @property
    def peers(self) -> int:
        """The number of peers that are counted separately."""
        return len(self._failures)

    def retry_after(self, peer: str) -> float:
        """Return the seconds for which keys of a peer are not checked; 0: they are checked."""
        failures = self._failures.get(peer) or self._failures.get(_OTHER_PEERS)
        if failures is None or len(failures) < MAX_INCORRECT_KEYS:
            return 0
        return max(0, failures[0] + RATE_LIMIT_WINDOW - self._clock())

    def record_failure(self, peer: str) -> None:
        """Count an incorrect key of a peer."""
        now = self._clock()
        if peer not in self._failures and len(self._failures) >= MAX_PEERS:
            self._evict_before(now - RATE_LIMIT_WINDOW)
            if len(self._failures) >= MAX_PEERS:
                # So many peers in one window are one attacker with many addresses: they share one count.
                peer = _OTHER_PEERS
        self._failures.setdefault(peer, deque(maxlen=MAX_INCORRECT_KEYS)).append(now)

    def reset(self) -> None:
        """Forget all failures."""
        self._failures.clear()

    def _evict_before(self, timestamp: float) -> None:
        for peer in [peer for peer, failures in list(self._failures.items()) if failures[-1] < timestamp]:
            self._failures.pop(peer, None)


class Authentication:
    """Checks API keys in constant time and limits how many can be tried.

    All users of this machine share one address. If too many incorrect keys locked out the correct one there, anybody
    could lock out its owner; so the correct key is always accepted from this machine, and the length of the key keeps
    it from being guessed. For other machines every key is rejected until the window has passed.

    :param str header: the header that carries the API key
    :param str api_key: the correct key
    :param RateLimiter rate_limiter: counts incorrect keys; default: a new one
    """

    def __init__(self, header: str, api_key: str, rate_limiter: RateLimiter | None = None) -> None:
        self._header = header
        self._api_key = api_key.encode()
        # The default key is documented: there is nothing to guess.
        self._rate_limiter = None if api_key == DEFAULT_KEY else rate_limiter or RateLimiter()

    def check(self, request: Request, incorrect: ApiResponse) -> ApiResponse | None:
        """Return the error response to a request without the correct key; None: it has it.

        :param ApiResponse incorrect: the response to an incorrect key, below the rate limit
        """
        return self.check_key(request.headers.get(self._header, ""), request, incorrect)

    def check_key(self, key: str, request: Request, incorrect: ApiResponse) -> ApiResponse | None:
        """Return the error response to a key, wherever the request carries it; None: it is the correct one.

        :param ApiResponse incorrect: as for `check`
        """
        is_correct = secrets.compare_digest(key.encode(errors="replace"), self._api_key)
        if not key:
            return incorrect
        return self.check_attempt(request, incorrect, is_correct=is_correct)

    def check_attempt(self, request: Request, incorrect: ApiResponse, *, is_correct: bool) -> ApiResponse | None:
        """Return the error response to an attempt to give the key, or what is signed with it; None: it is correct.

        :param ApiResponse incorrect: as for `check`
        """
        if self._rate_limiter is None:
            return None if is_correct else incorrect
        peer = peer_of(request.client.host if request.client else "")
        seconds = self._rate_limiter.retry_after(peer)
        if is_correct and (not seconds or peer == THIS_MACHINE):
            return None
        if seconds:
            return too_many_incorrect_keys(math.ceil(seconds))
        self._rate_limiter.record_failure(peer)
        return incorrect


def peer_of(address: str) -> str:
    """Return the peer that has an address: this machine, another one, or an IPv6 network with its 2**64 addresses."""
    found = parse_address(address)
    if found is None:
        return address
    if found.is_loopback:
        return THIS_MACHINE
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


# --- trusted hosts and origin check


@frozen(kw_only=True)
class TrustedHosts:
    """The `Host` headers that mean this server.

    :param str host: the name or address that the server was told to listen on
    :param str address: the address on which it listens
    :param allowed: further names, as `check_host_name` returns them
    """

    host: str = field(converter=canonical_name)
    address: Address = field(converter=ipaddress.ip_address)
    allowed: tuple[str, ...] = ()

    def include(self, header: str) -> bool:
        """Whether a `Host` header means this server; the port may be any, as it may be forwarded."""
        found = _HOST_HEADER.fullmatch(header)
        if not found:
            return False
        name = canonical_name(found[1])
        return name in (self.host, *self.allowed) or self._include_address(name)

    def _include_address(self, name: str) -> bool:
        everywhere, on_loopback = self.address.is_unspecified, self.address.is_loopback
        if name == "localhost":
            return everywhere or on_loopback
        given = parse_address(name)
        return given is not None and (everywhere or given == self.address or (on_loopback and given.is_loopback))


def is_same_origin(origin: str, host: str | None) -> bool:
    """Whether the page of an `Origin` header comes from the server that a `Host` header names.

    :param host: the `Host` header; None: the request has none
    """
    source = _ORIGIN.fullmatch(origin)
    target = _HOST_HEADER.fullmatch(host or "")
    if not source or not target:
        return False
    default = _DEFAULT_PORTS[source[1].lower()]
    # The scheme may differ: a TLS proxy in front of the server sends plain http.
    return (canonical_name(source[3]), int(source[4] or default)) == (
        canonical_name(target[1]),
        int(target[2] or default),
    )


class OriginCheckMiddleware:
    """Rejects requests that name another host, or that a browser sends for a page of another origin.

    It comes before routing and authentication: whatever such a request asks for, and whatever key it has.

    :param ASGIApp app: the application to protect
    :param TrustedHosts trusted_hosts: the hosts that mean this server
    """

    def __init__(self, app: ASGIApp, trusted_hosts: TrustedHosts) -> None:
        self._app = app
        self._trusted_hosts = trusted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with 403, or pass it on."""
        rejection = check_origin(scope["headers"], self._trusted_hosts)
        await (rejection.render() if rejection else self._app)(scope, receive, send)


def check_origin(headers: Iterable[tuple[bytes, bytes]], trusted_hosts: TrustedHosts) -> ApiResponse | None:
    """Return the error response to a request for another host or of another origin; None: the request is neither.

    :param headers: the headers of the request, their names in lower case
    """
    found = [(name, value.decode("latin-1")) for name, value in headers if name in _CHECKED_HEADERS]
    host = next((value for name, value in found if name == b"host"), None)
    # Only HTTP/1.0 comes without one, and browsers do not speak it.
    if host is not None and not trusted_hosts.include(host):
        return forbidden(f"This server is not called {_quote(host)}; if it is, start it with --allow-host NAME")
    for name, value in found:
        if name == b"origin" and not is_same_origin(value, host):
            return forbidden(f"Pages of {_quote(value)} may not use this server; only its own may")
        if name == b"sec-fetch-site" and value not in _TRUSTED_SITES:
            return forbidden("Pages of other sites may not use this server, or link to it; type or paste its address")
    return None


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}...")
