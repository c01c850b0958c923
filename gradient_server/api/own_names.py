"""Which hosts and origins mean this server. Pure.

A web page of any site can have its own name resolve to 127.0.0.1 and then talk to what listens here as if it were that
site; only the header `Host` gives it away. An address cannot be made to mean another machine, a name can: so where the
server listens on every address, it answers to every address, and to names only where it was told so.
"""

from __future__ import annotations

import ipaddress
import re
import reprlib

from attrs import field, frozen

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PLACE = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{0,5}))?")
_ORIGIN = re.compile(rf"(https?)://({_PLACE.pattern})", re.IGNORECASE)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_PORTS = {"http": 80, "https": 443}


def checked_name(text: str) -> str:
    """Return a name, or an address, by which a server can be reached, as it is compared.

    :raises ValueError: it is none; a port is no part of it
    """
    try:
        name = canonical(text).encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _address(name) and not _NAME.fullmatch(name):
        raise ValueError(
            f"{reprlib.repr(text)} is no name of a machine; give one such as box.example.com, without a port"
        )
    return name


def canonical(name: str) -> str:
    """Write a name in the one form in which names are compared."""
    if name.startswith("["):
        return name[1:-1].lower()
    return name.removesuffix(".").lower()


@frozen(kw_only=True)
class OwnNames:
    """What a server is called.

    :param str host: what it was told to listen on, a name or an address
    :param str address: the address on which it listens
    :param also: further names, as `checked_name` gives them
    """

    host: str = field(converter=canonical)
    address: _Address = field(converter=ipaddress.ip_address)
    also: tuple[str, ...] = ()

    def have(self, place: str) -> bool:
        """Say whether a `Host` header means this server, with whatever port: another one may be forwarded to it."""
        found = _PLACE.fullmatch(place)
        if not found:
            return False
        name = canonical(found[1])
        return name in (self.host, *self.also) or self._listens_to(name)

    def _listens_to(self, name: str) -> bool:
        everywhere, on_loopback = self.address.is_unspecified, self.address.is_loopback
        if name == "localhost":
            return everywhere or on_loopback
        given = _address(name)
        return given is not None and (everywhere or given == self.address or (on_loopback and given.is_loopback))


def same_origin(origin: str, place: str | None) -> bool:
    """Say whether an `Origin` is the place at which a request was sent to, so that the page it comes from is our own.

    :param place: what the header `Host` says; None: there is none
    """
    found = _ORIGIN.fullmatch(origin)
    to = _PLACE.fullmatch(place or "")
    if not found or not to:
        return False
    default = _PORTS[found[1].lower()]
    # The scheme may differ: what speaks https in front of a server asks it in http.
    came_from = canonical(found[3]), int(found[4] or default)
    return came_from == (canonical(to[1]), int(to[2] or default))


def _address(name: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
