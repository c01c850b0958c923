"""Secrets out of what people see: passwords in addresses, and values that are secret as a whole."""

from __future__ import annotations

import re

MASK = "********"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")


def masked(text: str) -> str:
    """Hide the passwords of all addresses in a text.

    >>> masked("git clone https://me:sesame@example.com/r.git")
    'git clone https://me:********@example.com/r.git'
    """
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text)
