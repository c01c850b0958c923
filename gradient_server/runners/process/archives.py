"""Archives as workspaces: zip files, and tar files with any compression that `tarfile` knows."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

from gradient_server.runners.process.limits import Quota, SetupError, real_path

_LONGEST_LINK = 4096
# What both libraries raise for damaged archives, apart from errors of their own.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, ValueError, LookupError, struct.error)


def extract(archive: Path, folder: Path, shown: str, quota: Quota) -> None:
    """Extract an archive into an empty folder.

    The user, and nobody else, may read and write each file, and execute those that were executable when the archive
    was made.

    :param str shown: the name of the archive in errors

    :raises SetupError: it is no archive, is damaged, exceeds the quota, or has an entry that is a device or lies or
        leads outside of the folder; the text names that entry
    """
    try:
        if tarfile.is_tarfile(archive):
            _extract_tar(archive, folder, quota)
        elif zipfile.is_zipfile(archive):
            _extract_zip(archive, folder, quota)
        else:
            raise SetupError(f"The workspace {shown} is neither a zip nor a tar file")
    except _DAMAGE as error:
        raise SetupError(f"The workspace {shown} is broken: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # a zip file with an unknown compression, or a password
        raise SetupError(f"The workspace {shown} cannot be unpacked: {error}") from error
    _check_links(folder)


def _extract_tar(archive: Path, folder: Path, quota: Quota) -> None:
    def admit(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        quota.take(entry.size if entry.isreg() else 0)
        return _admitted(entry, path)

    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter=admit)
        # `tarfile` takes a damaged entry for the end of the archive. At its end there is a block of zeros.
        assert opened.fileobj is not None
        opened.fileobj.seek(opened.offset)
        end = opened.fileobj.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off")
    if end.strip(b"\0"):
        raise tarfile.ReadError(f"there is no entry at byte {opened.offset} of the tar file")


def _extract_zip(archive: Path, folder: Path, quota: Quota) -> None:
    try:
        # Many programs write UTF-8 names without the flag for it.
        opened = zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        opened = zipfile.ZipFile(archive)
    with opened:
        for member in opened.infolist():
            quota.take(member.file_size)
            # The checks are those of tar files.
            entry = tarfile.TarInfo(member.filename)
            entry.mode = member.external_attr >> 16
            if stat.S_ISLNK(entry.mode):
                entry.type = tarfile.SYMTYPE
                with opened.open(member) as link:
                    entry.linkname = os.fsdecode(link.read(_LONGEST_LINK + 1))
            entry = _admitted(entry, str(folder))
            target = folder / entry.name
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if entry.issym():
                target.symlink_to(entry.linkname)
            else:
                with opened.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(entry.mode)


def _admitted(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """Return what to extract for an entry.

    :raises SetupError: it lies or leads outside of the folder, or is a device
    """
    if "\0" in entry.linkname or len(entry.linkname) > _LONGEST_LINK or (entry.issym() and not entry.linkname):
        raise SetupError(f"{entry.name} in the workspace's archive is a link to no path; pack it anew")
    if entry.name.startswith("/"):  # `data_filter` would drop the slash, and put the file where nobody looks for it.
        raise _outside(entry.name)
    try:
        admitted = tarfile.data_filter(entry, path)
    except tarfile.SpecialFileError as error:
        raise SetupError(f"{entry.name} in the workspace's archive is a device or a pipe; leave it out") from error
    except tarfile.FilterError as error:
        raise _outside(f"{entry.name} -> {entry.linkname}" if entry.linkname else entry.name) from error
    if admitted.isreg() or admitted.islnk():
        return admitted.replace(mode=0o700 if entry.mode & 0o111 else 0o600, deep=False)
    return admitted


def _check_links(folder: Path) -> None:
    """Check where links lead once all entries are there: one entry can redirect the link of another.

    :raises SetupError: a link leads outside of the folder
    """
    for directory, folders, files in os.walk(folder):
        for found in (Path(directory, name) for name in (*folders, *files)):
            if found.is_symlink() and not real_path(found).is_relative_to(real_path(folder)):
                raise _outside(f"{found.relative_to(folder)} -> {os.readlink(found)}")


def _outside(name: str) -> SetupError:
    return SetupError(
        f"The workspace's archive would put {name} outside of its own folder; pack it with paths below it"
    )
