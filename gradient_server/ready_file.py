"""The file that says where a server is. Who waits for a server waits for it."""

from __future__ import annotations

import contextlib
import errno
import json
import secrets
import stat
from collections.abc import Callable, Generator
from pathlib import Path

from gradient_server.private_files import write_new

Write = Callable[[str], None]
ATTRIBUTES = ("experiments_url", "experiments_url_v2", "logs_url", "api_key")
"""What is in it of a server."""
PID = "pid"
"""What is in it of its process."""
_LONGEST = 2**16
_SOMETHING_ELSE = "something else is there, which is not taken away; give another path, or remove it"


@contextlib.contextmanager
def ready_file(path: Path | None) -> Generator[Write, None, None]:
    """Give a function that writes the file, and see to it that the file is not there before that and after the block.

    :param Path path: where the file is to be; None: nowhere

    :raises OSError: it cannot be written there, or something else is there; the error has its `filename`
    """
    if path is None:
        yield lambda text: None
        return
    _take_away(path)  # of a server that was killed
    # Nobody else has a file of that name, so that none is in the way.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    written: str | None = None

    def write(text: str) -> None:
        nonlocal written
        write_new(draft, text)  # a key is in it
        _take_away(path)
        draft.replace(path)  # at once, so that nobody reads half of it
        written = text

    try:
        yield write
    finally:
        draft.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if written is not None and _text_of(path) == written:
                path.unlink()


def _take_away(path: Path) -> None:
    text = _text_of(path)
    if text is None:
        return
    if not _is_of_a_server(text):
        raise FileExistsError(errno.EEXIST, _SOMETHING_ELSE, str(path))
    path.unlink(missing_ok=True)


def _text_of(path: Path) -> str | None:
    """Read the beginning of what is there; None: nothing is."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return None
    if not is_file:  # which might have no end
        raise FileExistsError(errno.EEXIST, _SOMETHING_ELSE, str(path))
    with path.open("rb") as file:
        return file.read(_LONGEST).decode(errors="replace")


def _is_of_a_server(text: str) -> bool:
    if not text:  # somebody has made room for it
        return True
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(members, dict) and members.keys() <= {*ATTRIBUTES, PID}
