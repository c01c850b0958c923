"""What a server can be told, and what of it can be. Imports nothing that takes time."""

from __future__ import annotations

import math
import reprlib
from pathlib import Path

DEFAULT_KEY = "gradient-local"
SHORTEST_KEY = 20
"""Characters of a key that is not to be guessed, however many guesses there are."""


def checked_key(key: str) -> str:
    """Return a key that clients can send.

    :raises ValueError: it is none
    """
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError("a key must be visible ASCII characters, without spaces around them")
    return key


def checked_long_key(key: str) -> str:
    """Return a key that clients can send, and that is long enough not to be guessed.

    :raises ValueError: it is none, or it is too short
    """
    if len(checked_key(key)) < SHORTEST_KEY:
        raise ValueError(
            f"a key with which commands can be run must have at least {SHORTEST_KEY} characters; "
            "where none is given, a random one is made"
        )
    return key


def checked_scale(scale: float | str) -> float:
    """Return how many simulated seconds go by in a real one.

    :raises ValueError: time would stand still, run backwards, or be over at once
    """
    try:
        value = float(scale)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"{reprlib.repr(scale)} is no time scale; give a number above 0")
    return value


def checked_port(text: str) -> int:
    """Return a port to listen on.

    :raises ValueError: there is no such port
    """
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise ValueError(f"{reprlib.repr(text)} is no port; give a number from 0 to 65535, 0 for a free one")
    return int(text)


def checked_host(text: str) -> str:
    """Return an address to listen on; whether the machine has it is seen when it listens.

    :raises ValueError: there cannot be such an address
    """
    try:
        possible = bool(text.encode("idna"))
    except UnicodeError:
        possible = False
    if not possible:
        raise ValueError(f"{reprlib.repr(text)} is no address; give one such as 127.0.0.1, ::1 or localhost")
    return text


def checked_seed(text: str) -> int:
    """Return a seed.

    :raises ValueError: it is no whole number
    """
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{reprlib.repr(text)} is no seed; give a whole number") from None


def checked_file(text: str) -> Path:
    """Return the path of a file that is to be written.

    :raises ValueError: a file cannot be called that
    """
    path = Path(text)
    if not path.name:
        raise ValueError(f"{reprlib.repr(text)} is no file")
    return path
