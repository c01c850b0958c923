"""Workspaces that are zip files."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

from gradient_server.runners.process.members import MOST_OF_LINK, make_file, make_folder, make_link
from gradient_server.runners.process.set_up import Allowance

_SAYS_UTF8 = 0x800
_NOTHING_SAID = "cp437"
"""How `zipfile` reads a name of which the archive does not say in what it is written."""


def unpack_zip(archive: Path, folder: Path, allowance: Allowance) -> None:
    """Unpack a zip file. What is wrong with it is raised as `zipfile` does, or as CannotSetUp."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            allowance.take(member.file_size)
            mode = member.external_attr >> 16
            name = _name_of(member)
            if stat.S_ISLNK(mode):
                with opened.open(member) as packed:
                    # No more than is needed to see that it is too long, whatever else there is.
                    to = packed.read(MOST_OF_LINK + 1)
                make_link(folder, name, to.decode(errors="surrogateescape"))
            elif member.is_dir():
                make_folder(folder, name)
            else:
                with opened.open(member) as packed, make_file(folder, name, mode) as file:
                    shutil.copyfileobj(packed, file)


def _name_of(member: zipfile.ZipInfo) -> str:
    """Read a name as UTF-8 where it can be that: archives of many programs do not say in what it is written."""
    if member.flag_bits & _SAYS_UTF8:
        return member.filename
    try:
        return member.filename.encode(_NOTHING_SAID).decode()
    except UnicodeError:
        return member.filename
