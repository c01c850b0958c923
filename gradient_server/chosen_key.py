"""Which API key a server takes, and where its clients find it.

It may come from a file, or as an argument, which everybody on the machine can see. It is not read from the environment:
the variable that clients have for it is often set in a shell in which a server is started, with the key of another one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from gradient_ext.config import KEY_VARIABLE
from gradient_server import keys as key_file
from gradient_server.settings import DEFAULT_KEY, checked_key, checked_long_key


@frozen(kw_only=True)
class ChosenKey:
    """A key, the environment variables by which clients find it, and the file that it is in, if it is in one."""

    text: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    file: Path | None = None


def chosen_key(
    given: str | None, file: Path | None, *, runner_is_real: bool = False, folder: Path | None = None
) -> ChosenKey:
    """Choose the key: the one that was given, the one in a file, or one that is made.

    :param str given: the key itself
    :param Path file: a file that has it
    :param bool runner_is_real: whether experiments execute commands; then the key must be one that nobody guesses, and
        a random one is made and kept where none was given. Otherwise it is the one of the documentation
    :param Path folder: where a random key is kept; default: `key_file.default_folder()`

    :raises ValueError: the key cannot be one, or is too short for that
    :raises OSError: a file or folder cannot be used; the error has its `filename`
    """
    check = checked_long_key if runner_is_real else checked_key
    if given is not None:
        return ChosenKey(text=check(given), environment={KEY_VARIABLE: given})
    if file is not None:
        return ChosenKey(text=check(key_file.key_in(file)), environment=key_file.environment(file), file=file)
    if not runner_is_real:
        return ChosenKey(text=DEFAULT_KEY, environment={KEY_VARIABLE: DEFAULT_KEY})
    folder = folder or key_file.default_folder()
    kept = folder / key_file.NAME
    return ChosenKey(text=key_file.kept_key(folder), environment=key_file.environment(kept), file=kept)


def key_for(given: str | None, *, runner_is_real: bool) -> str:
    """Give the key of a server that is part of a program, which tells its clients: what was given, or one made now.

    :raises ValueError: the key cannot be one, or is too short for real runs
    """
    if given is not None:
        return checked_long_key(given) if runner_is_real else checked_key(given)
    return secrets.token_urlsafe() if runner_is_real else DEFAULT_KEY
