"""Where the members of an archive go: nothing is written, and no link leads, outside of the folder they belong to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from gradient_server.runners.process.real_paths import real
from gradient_server.runners.process.set_up import CannotSetUp

MOST_OF_LINK = 4096
"""How many bytes of a path a link can have."""


def inside(folder: Path, name: str) -> Path:
    """Say where a member of an archive belongs.

    :raises CannotSetUp: that is not in the folder, also by way of links that are there
    """
    target = folder / name
    if target == folder:
        return folder
    if "\0" in name or ".." in Path(name).parts or not _is_in(target.parent, folder):
        raise CannotSetUp(_outside(name))
    return target


def make_folder(folder: Path, name: str) -> None:
    """Make a folder, with those that it is in."""
    inside(folder, name).mkdir(parents=True, exist_ok=True)


def make_file(folder: Path, name: str, mode: int) -> IO[bytes]:
    """Make a file to write to, one that is executed if its mode says so."""
    target = _free(folder, name)
    allowed = 0o700 if mode & 0o111 else 0o600
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, allowed), "wb")


def make_link(folder: Path, name: str, to: str) -> None:
    """Make a link.

    :raises CannotSetUp: it can lead nowhere, or leads out of the folder
    """
    if not to or "\0" in to or len(os.fsencode(to)) > MOST_OF_LINK:
        raise CannotSetUp(f"In the workspace's archive {name} is a link to no path; pack it anew")
    link = inside(folder, name)
    if not _is_in(link.parent / to, folder):
        raise CannotSetUp(_outside(f"{name} -> {to}"))
    _free(folder, name).symlink_to(to)


def make_hard_link(folder: Path, name: str, to: str) -> None:
    """Make another name of a file that is there."""
    source = inside(folder, to)
    os.link(source, _free(folder, name), follow_symlinks=False)


def check_links(folder: Path) -> None:
    """See that no link leads out, once all are there: one can be turned round by those that came after it.

    :raises CannotSetUp: one does
    """
    for directory, folders, files in os.walk(folder):
        for found in (Path(directory, name) for name in (*folders, *files)):
            if found.is_symlink() and not _is_in(found, folder):
                raise CannotSetUp(_outside(f"{found.relative_to(folder)} -> {os.readlink(found)}"))


def _free(folder: Path, name: str) -> Path:
    """Say where a member belongs, and remove what one of the same name has left: later ones win."""
    target = inside(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A link is removed, too: nothing is written through it.
    if target.is_symlink() or target.is_file():
        target.unlink()
    return target


def _is_in(path: Path, folder: Path) -> bool:
    return real(path).is_relative_to(real(folder))


def _outside(name: str) -> str:
    return f"The workspace's archive would put {name} outside of its own folder; pack it with paths below its top"
