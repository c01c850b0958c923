"""Workspaces that are tar files, packed or not.

`tarfile` keeps what stands before a member in memory, however long it is, and takes a damaged member for the end. Here
there is a bound for the one, and the end has to be there.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterator, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import IO, cast

from attrs import define

from gradient_server.runners.process.members import make_file, make_folder, make_hard_link, make_link
from gradient_server.runners.process.set_up import Allowance, CannotSetUp

MOST_OF_HEADERS = 2**20
"""How many bytes may stand before a member: long names, and what else is known of it."""
_MOST_FOR_ALL = 100
"""How many things may be said of all members that come."""
_PACKED: Mapping[bytes, Callable[[Path], BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x5d\0\0": lzma.LZMAFile,
}


class NoTarFile(Exception):
    """It does not begin like a tar file."""


@define
class _Bounded:
    """A file, of which no more is read than is left; as much of it as `tarfile` needs.

    :param BufferedIOBase file: the file
    :param int left: how many bytes; None: as many as there are
    """

    file: BufferedIOBase
    left: int | None = MOST_OF_HEADERS

    def read(self, size: int) -> bytes:
        if self.left is not None:
            self.left -= size
            if self.left < 0:
                raise CannotSetUp("The workspace's archive has a member with a header of over 1 MiB; pack it anew")
        return self.file.read(size)

    def seek(self, place: int) -> int:
        return self.file.seek(place)

    def tell(self) -> int:
        return self.file.tell()


def unpack_tar(archive: Path, folder: Path, allowance: Allowance) -> None:
    """Unpack a tar file. What is wrong with it is raised as `tarfile` and what it is packed with do, or as CannotSetUp.

    :raises NoTarFile: it is none
    """
    with _opened(archive) as (opened, file):
        for member in _members(opened, file):
            allowance.take(member.size if member.isreg() else 0)
            # What archives call themselves and their folders is not to be in the way of later files.
            if member.isdir():
                make_folder(folder, member.name)
            elif member.issym():
                make_link(folder, member.name, member.linkname)
            elif member.islnk():
                make_hard_link(folder, member.name, member.linkname)
            elif member.isreg():
                packed = opened.extractfile(member)
                assert packed is not None
                with packed, make_file(folder, member.name, member.mode) as target:
                    shutil.copyfileobj(packed, target)
            else:
                raise CannotSetUp(f"{member.name} in the workspace's archive is a device or a pipe; leave it out")


@contextlib.contextmanager
def _opened(archive: Path) -> Generator[tuple[tarfile.TarFile, _Bounded], None, None]:
    with archive.open("rb") as raw:
        begin = raw.read(6)
    openers = [opener for magic, opener in _PACKED.items() if begin.startswith(magic)]
    with openers[0](archive) if openers else archive.open("rb") as unpacked:
        file = _Bounded(unpacked)
        try:
            opened = tarfile.open(fileobj=cast("IO[bytes]", file), mode="r:")  # noqa: SIM115 - it is closed below
        except (tarfile.TarError, EOFError, OSError, lzma.LZMAError) as error:
            raise NoTarFile from error
        with opened:
            yield opened, file


def _members(opened: tarfile.TarFile, file: _Bounded) -> Iterator[tarfile.TarInfo]:
    while True:
        file.left = MOST_OF_HEADERS
        member = opened.next()
        if len(opened.pax_headers) > _MOST_FOR_ALL:
            raise CannotSetUp("The workspace's archive says too much of all of its members at once; pack it anew")
        if member is None:
            break
        file.left = None
        yield member
        # It would keep all of them, with what is known of each.
        opened.members.clear()  # type: ignore[attr-defined] # it has been there for ever
    file.seek(opened.offset)
    end = file.read(tarfile.BLOCKSIZE)
    if len(end) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off")
    if end.strip(b"\0"):
        raise tarfile.ReadError(f"what begins at byte {opened.offset} of the tar file is no member")
