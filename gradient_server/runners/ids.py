"""Ids such as the service had them."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256


def new_handle(seed: int, number: int) -> str:
    """Give the handle of the experiment with a number; it follows from the seed."""
    return id_from("es", f"{seed} {number}")


def id_from(prefix: str, source: str) -> str:
    """Make an id; the same source has the same one."""
    return prefix + b32encode(sha256(source.encode()).digest())[:12].decode().lower()
