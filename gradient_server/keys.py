"""The file of an API key, in the form that clients read as their configuration: `{"apiKey": "..."}`.

So server and client agree on a key that stands in no command line and on no screen: the server makes a random one and
keeps it, and a client that is told the folder finds it. It stays the same when the server is started again.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from pathlib import Path

from gradient_ext.config import DIRECTORY_VARIABLE, FILE_VARIABLE, KEY_MEMBER, KEY_VARIABLE, configuration_file
from gradient_server.private_files import private_folder
from gradient_server.settings import checked_key

NAME = configuration_file({}).name
_BYTES = 32


def default_folder() -> Path:
    """Say where a server keeps what it has to keep, where nothing else was said: a folder of this user alone."""
    import platformdirs  # comes with the extra

    return platformdirs.user_state_path("gradient-experiments", appauthor=False)


def kept_key(folder: Path) -> str:
    """Give the key that is kept in a folder; a random one is made where there is none.

    :param Path folder: made where it is missing, readable by its owner alone

    :raises OSError: the folder or the file cannot be used, or others could know the key; the error has its `filename`
    """
    with private_folder(folder) as opened:
        text = opened.text_of(NAME)
        if text is None:
            opened.add(NAME, json.dumps({KEY_MEMBER: secrets.token_urlsafe(_BYTES)}) + "\n")
            # Another server may have been the first.
            text = opened.text_of(NAME)
    return _key_of(text or "", folder / NAME)


def key_in(path: Path) -> str:
    """Read the key in a file that somebody else takes care of, behind links or belonging to a group, too.

    :raises OSError: it cannot be read, holds no key, or everybody can read it; the error has its `filename`
    """
    if path.stat().st_mode & stat.S_IROTH:
        raise PermissionError(errno.EPERM, "everybody on this machine can read it; chmod 600 it", str(path))
    return _key_of(path.read_text(encoding="utf-8-sig", errors="replace"), path)


def environment(path: Path) -> dict[str, str]:
    """Give the environment variables that lead a client to the key in a file, and from those that others have set."""
    place = Path(os.path.abspath(path))
    name = "" if place.name == NAME else place.name
    return {KEY_VARIABLE: "", DIRECTORY_VARIABLE: str(place.parent), FILE_VARIABLE: name}


def _key_of(text: str, path: Path) -> str:
    try:
        return checked_key(json.loads(text)[KEY_MEMBER])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Not its cause: that carries the text, and so the key.
        raise OSError(errno.EINVAL, f'it must hold a key, as {{"{KEY_MEMBER}": "..."}}', str(path)) from None
