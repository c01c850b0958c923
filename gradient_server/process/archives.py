"""Workspaces that are zip or tar files. Nothing is written outside of the folder that they are unpacked into."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import IO

from gradient_server.process.set_up import Allowance, CannotSetUp

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError)
_SAYS_UTF8 = 0x800
_NOTHING_SAID = "cp437"
"""How `zipfile` reads a name of which the archive does not say in what it is written."""


def unpack(archive: Path, folder: Path, shown: str, allowance: Allowance) -> None:
    """Unpack an archive into an empty folder.

    :param str shown: what to call it in errors

    :raises CannotSetUp: it is no archive, is broken, has something in it that would lie outside, or is too large
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder, allowance)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, folder, allowance)
        else:
            raise CannotSetUp(f"The workspace {shown} is neither a zip nor a tar file")
    except _BROKEN as error:
        raise CannotSetUp(f"The workspace {shown} is broken: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # of zip files: a method of packing, or a password
        raise CannotSetUp(f"The workspace {shown} cannot be unpacked: {error}") from error


def _unpack_zip(archive: Path, folder: Path, allowance: Allowance) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            allowance.take(member.file_size)
            mode = member.external_attr >> 16
            name = _name_of(member)
            if stat.S_ISLNK(mode):
                _link(folder, name, opened.read(member).decode(errors="surrogateescape"))
                continue
            target = _inside(folder, name)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as packed, _created(target, mode & 0o111) as file:
                shutil.copyfileobj(packed, file)


def _name_of(member: zipfile.ZipInfo) -> str:
    """Read a name as UTF-8 where it can be that: archives of many programs do not say in what it is written."""
    if member.flag_bits & _SAYS_UTF8:
        return member.filename
    try:
        return member.filename.encode(_NOTHING_SAID).decode()
    except UnicodeError:
        return member.filename


def _unpack_tar(archive: Path, folder: Path, allowance: Allowance) -> None:
    with tarfile.open(archive) as opened:
        for member in opened:
            allowance.take(member.size if member.isreg() else 0)
            # What archives call themselves and their folders is not to be in the way of later files.
            if member.isdir():
                _inside(folder, member.name).mkdir(parents=True, exist_ok=True)
            elif member.issym():
                _link(folder, member.name, member.linkname)
            elif member.islnk():
                source, target = _inside(folder, member.linkname), _inside(folder, member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                _make_way(target)
                os.link(source, target, follow_symlinks=False)
            elif member.isreg():
                target = _inside(folder, member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                packed = opened.extractfile(member)
                assert packed is not None
                with packed, _created(target, member.mode & 0o111) as file:
                    shutil.copyfileobj(packed, file)
            else:
                raise CannotSetUp(f"{member.name} in the workspace's archive is a device or a pipe; leave it out")


def _inside(folder: Path, name: str) -> Path:
    """Say where a member of an archive belongs.

    :raises CannotSetUp: that is not in the folder, also by way of links that are there
    """
    target = folder / name
    if target == folder:
        return folder
    if "\0" in name or ".." in Path(name).parts or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise CannotSetUp(_outside(name))
    return target


def _link(folder: Path, name: str, to: str) -> None:
    link = _inside(folder, name)
    link.parent.mkdir(parents=True, exist_ok=True)
    if not (link.parent / to).resolve().is_relative_to(folder.resolve()):
        raise CannotSetUp(_outside(f"{name} -> {to}"))
    _make_way(link)
    link.symlink_to(to)


def _created(target: Path, executable: int) -> IO[bytes]:
    _make_way(target)
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | (0o100 if executable else 0)), "wb")


def _make_way(target: Path) -> None:
    """Remove what a member of the same name has left: later ones win, and nothing is written through links."""
    if target.is_symlink() or target.is_file():
        target.unlink()


def _outside(name: str) -> str:
    return f"The workspace's archive would put {name} outside of its own folder; pack it with paths below its top"
