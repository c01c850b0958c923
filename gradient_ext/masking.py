"""Secrets out of what people see: passwords in addresses, and values that are secret as a whole."""

from __future__ import annotations

import re
from collections.abc import Container
from types import TracebackType

MASK = "********"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")


def masked(text: str) -> str:
    """Hide the passwords of all addresses in a text.

    >>> masked("git clone https://me:sesame@example.com/r.git")
    'git clone https://me:********@example.com/r.git'
    """
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text)


def without_frames_of(packages: Container[str], error: BaseException) -> BaseException:
    """Take the frames of some packages out of the traceback of an error, and of all that led to it.

    Tools print the variables of frames; those of who sends something hold all that is sent.
    """
    left: list[BaseException | None] = [error]
    seen: list[BaseException] = []
    while left:
        found = left.pop()
        if found is not None and found not in seen:
            found.__traceback__ = _thinned(packages, found.__traceback__)
            seen.append(found)
            left += [found.__cause__, found.__context__]
    return error


def _thinned(packages: Container[str], traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in packages:
            kept.append(traceback)
        traceback = traceback.tb_next
    thinned = None
    for part in reversed(kept):
        thinned = TracebackType(thinned, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return thinned
