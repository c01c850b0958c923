"""Archives as workspaces: zip files, and tar files that are compressed by gzip, bzip2 or xz, or not at all."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import mmap
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

from gradient_server.runners.supervised.limits import Quota, SetupError, real_path

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LONGEST_LINK = 4096
_LONGEST_EXTENSION = 2**20
"""Bytes of a header of a tar file that extends the next one, as with a long name. `tarfile` reads it at once."""
_MAX_DICTIONARY = 64 * 2**20
"""Bytes of the largest dictionary of xz and LZMA; it is that of `xz -9`."""
_LZMA_OVERHEAD = 2**21
_CHUNK = 2**18
_EXTENSIONS = (b"L", b"K", b"x", b"g", b"X")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_END, _ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_UNIX = 3
"""The system that a member of a zip file was made on, as `zipfile` has it."""
_DRIVE = re.compile("[A-Za-z]:/")
# What both libraries raise for damaged archives, apart from errors of their own.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    ValueError,
    LookupError,
    struct.error,
)


class _NoArchiveError(Exception):
    """It is no archive at all."""


def extract(archive: Path, folder: Path, shown: str, quota: Quota) -> None:
    """Extract an archive into an empty folder.

    What it is depends on its first bytes. The user, and nobody else, may read and write each file, and execute those
    that were executable when the archive was made.

    :param str shown: the name of the archive in errors

    :raises SetupError: it is no archive, is damaged, exceeds the quota, or has an entry that is a device or lies or
        leads outside of the folder; the text names that entry
    """
    with archive.open("rb") as file:
        is_zip = file.read(4) in _ZIP
    extraction = _Extraction(folder, quota)
    try:
        if is_zip:
            _extract_zip(archive, extraction)
        else:
            _extract_tar(archive, extraction)
        extraction.make_links()
    except _NoArchiveError:
        raise SetupError(f"The workspace {shown} is neither a zip nor a tar file") from None
    except _DAMAGE as error:
        raise SetupError(f"The workspace {shown} is broken: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # a zip file with an unknown compression, or a password
        raise SetupError(f"The workspace {shown} cannot be unpacked: {error}") from error
    except OSError as error:
        if error.errno is None:  # from gzip or bzip2
            raise SetupError(f"The workspace {shown} is broken: {error}") from error
        raise


class _Extraction:
    """Writes entries into a folder. Links are made when all else is there, so that nothing is written through one."""

    def __init__(self, folder: Path, quota: Quota) -> None:
        self.quota = quota
        self._folder = folder
        self._links: dict[str, tarfile.TarInfo] = {}

    def add(self, entry: tarfile.TarInfo, open_content: Callable[[], IO[bytes] | None]) -> None:
        """Write an entry, or note that it is a link.

        :raises SetupError: it is refused
        """
        self.quota.take(entry.size if entry.isreg() else 0)
        entry = _admitted(entry, str(self._folder))
        name = os.path.normpath(entry.name)
        if any(str(above) in self._links for above in Path(name).parents):
            raise _outside(entry.name)
        self._links.pop(name, None)
        target = self._folder / name
        if entry.issym() or entry.islnk():
            self._links[name] = entry
        elif entry.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif content := open_content():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            with content, target.open("xb") as file:
                os.fchmod(file.fileno(), entry.mode)
                shutil.copyfileobj(content, file, _CHUNK)
            if entry.mtime:
                with contextlib.suppress(OSError, OverflowError):
                    os.utime(target, (entry.mtime, entry.mtime))

    def make_links(self) -> None:
        """Make the hard links, and then the symbolic ones.

        :raises SetupError: a link leads outside of the folder, perhaps through another one
        """
        symbolic: dict[Path, str] = {}
        for name, entry in self._links.items():
            target = self._folder / name
            linked = self._links.get(os.path.normpath(entry.linkname)) if entry.islnk() else entry
            if linked and linked.issym():
                symbolic[target] = linked.linkname
                continue
            source = self._folder / os.path.normpath(entry.linkname)
            if not source.is_file():
                raise tarfile.ReadError(f"{entry.name} is a link to {entry.linkname}, which is not there")
            _make_room(target)
            target.hardlink_to(source)
        for target, leads_to in symbolic.items():
            _make_room(target)
            target.symlink_to(leads_to)
        for target, leads_to in symbolic.items():
            if not real_path(target).is_relative_to(real_path(self._folder)):
                raise _outside(f"{target.relative_to(self._folder)} -> {leads_to}", is_link=True)


def _make_room(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)


def _extract_tar(archive: Path, extraction: _Extraction) -> None:
    with _decompressed(archive) as file:
        with tarfile.open(fileobj=file, mode="r|", bufsize=_CHUNK, tarinfo=_TarEntry) as opened:
            for entry in opened:
                extraction.add(entry, partial(opened.extractfile, entry))
        # The checksum of a compressed file is at its end.
        while chunk := file.read(_CHUNK):
            extraction.quota.take(len(chunk), files=0)


class _DamagedHeaderError(tarfile.ReadError):
    """The header of an entry is invalid."""


class _TarEntry(tarfile.TarInfo):
    """An entry of a tar file. `tarfile` itself takes a damaged one for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the entry with this header."""
        if len(buf) < tarfile.BLOCKSIZE:
            raise _DamagedHeaderError("it is cut off")
        try:
            entry = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError:
            if any(buf):
                raise _DamagedHeaderError from None
            raise  # a block of zeros: the end
        if entry.size < 0 or (entry.type in _EXTENSIONS and entry.size > _LONGEST_EXTENSION):
            raise tarfile.ReadError(f"an entry or its name has {entry.size} bytes")
        return entry

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Return the next entry of a tar file."""
        try:
            return super().fromtarfile(tarfile)
        except _DamagedHeaderError as error:
            if tarfile.offset == 0:
                raise _NoArchiveError from None
            text = str(error) or f"there is no entry at byte {tarfile.offset} of the tar file"
            raise _DamagedHeaderError(text) from None


@contextlib.contextmanager
def _decompressed(archive: Path) -> Generator[IO[bytes], None, None]:
    """Open a file that may be compressed, as its first bytes say."""
    with archive.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith(b"\x1f\x8b"):
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file))
        elif start.startswith(b"BZh"):
            yield cast(IO[bytes], bz2.BZ2File(file))
        elif start.startswith((b"\xfd7zXZ\0", b"]\0\0")):
            yield cast(IO[bytes], io.BufferedReader(_XzReader(file), _CHUNK))
        else:
            yield file


class _XzReader(io.RawIOBase):
    """Decompresses xz with a limit of memory, which `lzma.LZMAFile` has not."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = _new_decompressor()
        self._following = b""

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read decompressed data."""
        target = memoryview(buffer)
        while True:
            if self._decompressor.eof:
                # Another stream may follow, after zeros.
                self._following = self._decompressor.unused_data.lstrip(b"\0")
                while not self._following and (chunk := self._file.read(_CHUNK)):
                    self._following = chunk.lstrip(b"\0")
                if not self._following:
                    return 0
                self._decompressor = _new_decompressor()
            data = self._following
            self._following = b""
            if self._decompressor.needs_input and not data:
                data = self._file.read(_CHUNK)
                if not data:
                    raise EOFError("it is cut off")
            try:
                found = self._decompressor.decompress(data, len(target))
            except lzma.LZMAError as error:
                if "Memory usage limit" in str(error):
                    raise _needs_memory() from None
                raise
            if found:
                target[: len(found)] = found
                return len(found)


def _new_decompressor() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY + _LZMA_OVERHEAD)


def _needs_memory() -> SetupError:
    size = _MAX_DICTIONARY // 2**20
    return SetupError(f"The workspace's archive needs a dictionary of more than {size} MiB; compress it with less")


def _extract_zip(archive: Path, extraction: _Extraction) -> None:
    _check_number_of_members(archive, extraction.quota)
    try:
        # Many programs write UTF-8 names without the flag for it.
        opened = zipfile.ZipFile(archive, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        opened = zipfile.ZipFile(archive)
    with archive.open("rb") as file, opened:
        members = opened.infolist()
        has_slashes = any("/" in member.filename for member in members)
        for member in members:
            entry = tarfile.TarInfo(member.filename)
            if "\\" in entry.name and (member.create_system != _UNIX or not has_slashes):
                # It was made on Windows, by a program that writes paths as they are there.
                entry.name = entry.name.replace("\\", "/")
                if _DRIVE.match(entry.name):
                    raise _outside(member.filename)
            entry.size = member.file_size
            entry.mode = member.external_attr >> 16
            entry.type = tarfile.DIRTYPE if entry.name.endswith("/") else tarfile.REGTYPE
            if member.compress_type == zipfile.ZIP_LZMA and _dictionary_size(file, member) > _MAX_DICTIONARY:
                raise _needs_memory()
            if stat.S_ISLNK(entry.mode):
                entry.type = tarfile.SYMTYPE
                with opened.open(member) as link:
                    entry.linkname = os.fsdecode(link.read(_LONGEST_LINK + 1))
            extraction.add(entry, partial(opened.open, member))


def _check_number_of_members(archive: Path, quota: Quota) -> None:
    """Count the members of a zip file, because `zipfile` reads the list of all of them at once.

    :raises SetupError: there are more than the quota has files
    """
    remaining = Quota(files=quota.files)
    with archive.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = len(data) - 22
        if data[max(end, 0) : end + 4] != _ZIP_END or any(data[-2:]):
            end = data.rfind(_ZIP_END)  # before a comment
        (size,) = struct.unpack_from("<L", data, max(end, 0) + 12)
        if end >= 76 and data[end - 20 : end - 16] == _ZIP64_LOCATOR:
            end -= 76
            (size,) = struct.unpack_from("<Q", data, end + 40)
        position = end - size
        while 0 <= position <= end - 46:
            remaining.take(0)
            position += 46 + sum(struct.unpack_from("<3H", data, position + 28))


def _dictionary_size(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Return the size of the dictionary that a member compressed by LZMA needs."""
    file.seek(member.header_offset + 26)
    name, extra = struct.unpack("<2H", file.read(4))
    file.seek(name + extra + 5, os.SEEK_CUR)
    (size,) = struct.unpack("<L", file.read(4))
    return int(size)


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
        if entry.linkname:
            raise _outside(f"{entry.name} -> {entry.linkname}", is_link=True) from error
        raise _outside(entry.name) from error
    if admitted.isreg() or admitted.islnk():
        return admitted.replace(mode=0o700 if entry.mode & 0o111 else 0o600, deep=False)
    return admitted


def _outside(name: str, *, is_link: bool = False) -> SetupError:
    advice = "pack it with paths below it"
    if is_link:
        advice = "leave the link out (virtual environments have such links), or give the folder instead of an archive"
    return SetupError(f"The workspace's archive would put {name} outside of its own folder; {advice}")
