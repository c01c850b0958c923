"""Checks of settings, for the command line and for `LocalServer`. Imports only what is fast."""

from __future__ import annotations

import ipaddress
import itertools
import math
import re
import reprlib
from pathlib import Path

DEFAULT_KEY = "gradient-local"
"""The documented API key of servers that execute nothing."""
DEFAULT_SEED = 0
"""Of the ids of simulated experiments."""
MIN_KEY_LENGTH = 20
"""Characters of an API key with which commands can be run."""
MAX_TIME_SCALE = 1e12
"""Simulated seconds in a real second; then, the year 9999 comes at once."""
MIN_KEY_STEPS = 8
"""Different distances between neighbouring characters of such a key: `aaaa` and `1234` have one, `abab` has two."""
_GOOD_KEY = (
    "without one, a random one is made, and python -c 'import secrets; print(secrets.token_urlsafe())' prints one"
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


def check_key(key: str, *, executes_commands: bool = False) -> str:
    """Return an API key that clients can send.

    :param bool executes_commands: whether commands can be run with it, so that it must not be guessed

    :raises ValueError: it is invalid, too short or easy to guess
    """
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("a key must be visible ASCII characters, without spaces around them")
    if executes_commands and len(key) < MIN_KEY_LENGTH:
        raise ValueError(
            f"a key with which commands can be run must have at least {MIN_KEY_LENGTH} characters; {_GOOD_KEY}"
        )
    if executes_commands and _is_easy_to_guess(key):
        raise ValueError(
            "a key with which commands can be run must not be easy to guess: this one repeats itself, counts, or has "
            f"few different characters; {_GOOD_KEY}"
        )
    return key


def _is_easy_to_guess(key: str) -> bool:
    # Random keys have a shorter repetition, if any, and hardly ever so few steps, also if they consist of digits.
    period = next(length for length in range(1, len(key) + 1) if key[length:] == key[:-length])
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(key)}
    return (period < MIN_KEY_LENGTH and period <= 2 * len(key) / 3) or len(steps) < MIN_KEY_STEPS


def check_time_scale(scale: float | str) -> float:
    """Return how many simulated seconds pass in a real second.

    :raises ValueError: it is not above 0, or so large that time would overflow
    """
    try:
        value = float(scale)
    except ValueError:
        value = math.nan
    if not 0 < value <= MAX_TIME_SCALE:
        raise ValueError(f"{reprlib.repr(scale)} is no time scale; give a number above 0, at most {MAX_TIME_SCALE:g}")
    return value


def check_port(text: str) -> int:
    """Return a port to listen on.

    :raises ValueError: there is no such port
    """
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise ValueError(f"{reprlib.repr(text)} is no port; give a number from 0 to 65535, 0 for a free one")
    return int(text)


def check_host(text: str) -> str:
    """Return an address to listen on; whether this machine has it shows when the server listens.

    :raises ValueError: there cannot be such an address
    """
    try:
        is_possible = bool(text.encode("idna")) and text.isprintable() and " " not in text
    except UnicodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"{reprlib.repr(text)} is no address; give one such as 127.0.0.1, ::1 or localhost")
    return text


def check_bind_host(host: str, *, executes_commands: bool, expose: bool, has_own_key: bool = True) -> str:
    """Return the address to listen on.

    :param str host: the address
    :param bool executes_commands: whether experiments execute commands on this machine
    :param bool expose: whether the user allows other machines to have commands executed
    :param bool has_own_key: whether the user has given a key, so that it is not the documented one

    :raises ValueError: there is no such address, or other machines could reach it and `expose` is not set or there is
        no key

    >>> check_bind_host("127.0.0.1", executes_commands=True, expose=False)
    '127.0.0.1'
    >>> check_bind_host("0.0.0.0", executes_commands=True, expose=False)
    Traceback (most recent call last):
    ...
    ValueError: anyone who reaches 0.0.0.0 and has the key can run any command here as you, and the key crosses the \
network in plain http; to allow that, add --expose
    """
    check_host(host)
    if executes_commands and not expose and not is_loopback(host):
        raise ValueError(
            f"anyone who reaches {host} and has the key can run any command here as you, "
            "and the key crosses the network in plain http; to allow that, add --expose"
        )
    if not executes_commands and not has_own_key and not is_loopback(host):
        raise ValueError(
            f"anyone who reaches {host} could use the documented key and read what experiments contain, passwords and "
            "variables among it; give a key with --api-key-file or --api-key"
        )
    return host


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; the only name that counts is `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_host_name(text: str) -> str:
    """Return the canonical form of a name or an address by which clients can call the server.

    :raises ValueError: it is neither; a port is not part of a name
    """
    try:
        name = canonical_name(text).encode("idna").decode()
    except UnicodeError:
        name = ""
    if not parse_address(name) and not _HOST_NAME.fullmatch(name):
        raise ValueError(
            f"{reprlib.repr(text)} is no name of a machine; give one such as box.example.com, without a port"
        )
    return name


def canonical_name(name: str) -> str:
    """Return the form of a name in which names are compared."""
    if name.startswith("["):
        return name[1:-1].lower()
    return name.removesuffix(".").lower()


def parse_address(name: str) -> Address | None:
    """Return an IP address, as IPv4 where it is mapped to IPv6; None: it is none."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def check_seed(text: str) -> int:
    """Return a seed.

    :raises ValueError: it is no whole number
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{reprlib.repr(text)} is no seed; give a whole number") from None


def check_file(text: str) -> Path:
    """Return the path of a file to write.

    :raises ValueError: no file can have that name
    """
    path = Path(text)
    if not path.name:
        raise ValueError(f"{reprlib.repr(text)} is no file")
    return path
