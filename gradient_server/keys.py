"""The API key of a server: where it comes from, and where clients find it.

A key comes from an argument, which all users of the machine can see, or from a file in the form that clients read as
their configuration: `{"apiKey": "..."}`. A server that executes commands makes a random one and keeps it in such a
file, so that it is the same after a restart, and clients that know the folder find it. Keys are not read from the
environment: `PAPERSPACE_API_KEY` is often set in the shell that starts a server, with the key of another one.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from gradient_ext.config import (
    DIRECTORY_VARIABLE,
    FILE_VARIABLE,
    KEY_MEMBER,
    KEY_VARIABLE,
    configuration_file,
    state_folder,
)
from gradient_server.private_files import make_private_folder, read_private, write_if_missing
from gradient_server.settings import DEFAULT_KEY, check_key

NAME = configuration_file({}).name
_BYTES = 32
_MAX_LENGTH = 2**16


@frozen(kw_only=True)
class ServerKey:
    """The API key of a server.

    :param str text: the key
    :param environment: the environment variables by which clients find it
    :param Path file: the file that has it, if there is one
    """

    text: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    file: Path | None = None


def choose_key(
    given: str | None, file: Path | None, *, executes_commands: bool = False, folder: Path | None = None
) -> ServerKey:
    """Return the key that was given, the one in a file, or a default.

    :param str given: the key
    :param Path file: a file that has it
    :param bool executes_commands: whether commands can be run with it. It must be long then, and by default a random
        one is made and kept; otherwise the default is the documented one
    :param Path folder: where a random key is kept; default: `default_folder()`

    :raises ValueError: the key is invalid, or too short or easy to guess to run commands with it
    :raises OSError: a file or folder cannot be used; the error has its `filename`
    """
    if given is not None:
        return ServerKey(text=check_key(given, executes_commands=executes_commands), environment={KEY_VARIABLE: given})
    if file is not None:
        text = check_key(read_key(file), executes_commands=executes_commands)
        return ServerKey(text=text, environment=environment_for(file), file=file)
    if not executes_commands:
        return ServerKey(text=DEFAULT_KEY, environment={KEY_VARIABLE: DEFAULT_KEY})
    folder = folder or default_folder()
    kept = folder / NAME
    return ServerKey(text=load_or_create_key(folder), environment=environment_for(kept), file=kept)


def embedded_key(given: str | None, *, executes_commands: bool) -> str:
    """Return the key of a server inside of a program, which passes it to its clients: the given one or a default.

    :raises ValueError: the key is invalid, or too short or easy to guess to run commands with it
    """
    if given is not None:
        return check_key(given, executes_commands=executes_commands)
    return secrets.token_urlsafe(_BYTES) if executes_commands else DEFAULT_KEY


def default_folder() -> Path:
    """Return the folder for the files of a server, in the user's state directory.

    :raises OSError: the user has no home directory; the error has its `filename`
    """
    folder = state_folder()
    if folder.is_absolute():
        return folder
    text = "this user has no home directory: set HOME to an absolute path, or give --api-key-file and --store"
    raise FileNotFoundError(errno.ENOENT, text, "~")


def load_or_create_key(folder: Path) -> str:
    """Return the key that is kept in a folder; without one, make a random one.

    :param Path folder: is made if it is missing, readable by its owner alone

    :raises OSError: the folder or the file cannot be used, or others could know or guess the key; the error has its
        `filename`
    """
    make_private_folder(folder)
    path = folder / NAME
    if (text := read_private(path)) is None:
        write_if_missing(path, json.dumps({KEY_MEMBER: secrets.token_urlsafe(_BYTES)}) + "\n")
        # Another server may have been the first.
        text = read_private(path)
    key = _key_in(text or "", path)
    try:
        return check_key(key, executes_commands=True)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None


def read_key(path: Path) -> str:
    """Return the key in a file that the user looks after; it may be a link, or readable by a group.

    :raises OSError: it is no file, cannot be read, has no key, or everybody can read it; the error has its `filename`
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):  # a pipe can be read once, if at all, and clients read it too
        raise OSError(errno.EINVAL, "it is no file", str(path))
    if mode & stat.S_IROTH:
        raise PermissionError(errno.EPERM, "everybody on this machine can read it; chmod 600 it", str(path))
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return _key_in(file.read(_MAX_LENGTH), path)


def environment_for(path: Path) -> dict[str, str]:
    """Return the environment variables that lead a client to the key in a file, whatever else is set."""
    absolute = Path(os.path.abspath(path))
    name = "" if absolute.name == NAME else absolute.name
    return {KEY_VARIABLE: "", DIRECTORY_VARIABLE: str(absolute.parent), FILE_VARIABLE: name}


def _key_in(text: str, path: Path) -> str:
    try:
        return check_key(json.loads(text)[KEY_MEMBER])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Without the cause, which contains the text and so the key.
        raise OSError(errno.EINVAL, f'it must hold a key, as {{"{KEY_MEMBER}": "..."}}', str(path)) from None
