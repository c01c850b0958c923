"""Secrets out of what people see: passwords in addresses, and values that are secret as a whole."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from types import TracebackType

from gradient_ext.json_types import is_mapping, is_sequence

MASK = "********"
_USER_IN_URL = re.compile(r'(https?|)://([^/@:\s"]*)(?::([^/\s"]*))?@', re.IGNORECASE)
# What is shorter stands in other words, too.
_SHORTEST_SECRET = 6


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the passwords of all addresses in a text, and what else is known to be secret.

    >>> masked("git clone https://me:sesame@example.com/r.git")
    'git clone https://me:********@example.com/r.git'
    >>> masked("https://a-token@example.com/r.git, ssh://git@example.com/r.git")
    'https://********@example.com/r.git, ssh://git@example.com/r.git'
    """
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            import json

            # In JSON it looks different where it holds quotes, say.
            text = text.replace(json.dumps(secret)[1:-1], MASK).replace(secret, MASK)
    return _USER_IN_URL.sub(_without_password, text)


def masked_within(value: object) -> object:
    """Copy a value out of JSON, with all texts in it masked; what names them is left as it is.

    >>> masked_within({"REPOSITORY": "https://me:sesame@example.com/r.git", "EPOCHS": [1, 2]})
    {'REPOSITORY': 'https://me:********@example.com/r.git', 'EPOCHS': [1, 2]}
    """
    if isinstance(value, str):
        return masked(value)
    if is_mapping(value):
        return {name: masked_within(inner) for name, inner in value.items()}
    if is_sequence(value):
        return [masked_within(inner) for inner in value]
    return value


def _without_password(found: re.Match[str]) -> str:
    scheme, user, password = found.groups()
    if password and password != "x-oauth-basic":
        return f"{scheme}://{user}:{MASK}@"
    # The user of a web address is a token where there is no password.
    return f"{scheme}://{MASK}@" if scheme and user else found[0]


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
    kept: list[TracebackType] = []
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in packages:
            kept.append(traceback)
        traceback = traceback.tb_next
    thinned = None
    for part in reversed(kept):
        # Some instructions have no line.
        thinned = TracebackType(thinned, part.tb_frame, part.tb_lasti, part.tb_lineno or -1)
    return thinned
