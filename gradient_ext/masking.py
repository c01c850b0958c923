"""Secrets out of what people see: passwords in addresses, and values that are secret as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Container, Iterable
from types import TracebackType

from gradient_ext.json_types import is_mapping, is_sequence

MASK = "********"
# A quote belongs to a password unless a text of JSON ends with it.
_USER_IN_URL = re.compile(r'(https?|)://([^/@:\s"]*)(?::((?:[^/\s"]|"(?![,:}\]]))*))?@', re.IGNORECASE)
# What is shorter stands in other words, too.
_SHORTEST_SECRET = 6


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the passwords of all addresses in a text, and what else is known to be secret.

    >>> masked("git clone https://me:sesame@example.com/r.git")
    'git clone https://me:********@example.com/r.git'
    >>> masked("https://a-token@example.com/r.git, ssh://git@example.com/r.git")
    'https://********@example.com/r.git, ssh://git@example.com/r.git'
    """
    for secret in sorted(secrets, key=len, reverse=True):  # One may begin as another one does.
        if len(secret) >= _SHORTEST_SECRET:
            # In JSON and in Python it looks different where it holds quotes, say.
            for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
                text = text.replace(form, MASK)
    return _USER_IN_URL.sub(_without_password, text)


def masked_within(value: object, secrets: Collection[str] = ()) -> object:
    """Copy a value out of JSON, with all texts in it masked, and those that name them.

    >>> masked_within({"REPOSITORY": "https://me:sesame@example.com/r.git", "EPOCHS": [1, 2]})
    {'REPOSITORY': 'https://me:********@example.com/r.git', 'EPOCHS': [1, 2]}
    """
    if isinstance(value, str):
        return masked(value, secrets)
    if is_mapping(value):
        return {masked(str(name), secrets): masked_within(inner, secrets) for name, inner in value.items()}
    if is_sequence(value):
        return [masked_within(inner, secrets) for inner in value]
    # A number may be a secret, too.
    return MASK if secrets and masked(str(value), secrets) == MASK else value


def masked_body(text: str, secrets: Collection[str]) -> str:
    r"""Mask what a server has answered. Where that is JSON, its texts are: each writer writes them in a way of its own.

    >>> masked_body('{"error": "open\\/sesame is wrong"}', ["open/sesame"])
    '{"error": "******** is wrong"}'
    """
    try:
        return json.dumps(masked_within(json.loads(text), secrets))
    except (ValueError, RecursionError):
        return masked(text, secrets)


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
