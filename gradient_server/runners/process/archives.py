"""Workspaces that are zip or tar files."""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

from gradient_server.runners.process.members import check_links
from gradient_server.runners.process.set_up import Allowance, CannotSetUp
from gradient_server.runners.process.tar_files import NoTarFile, unpack_tar
from gradient_server.runners.process.zip_files import unpack_zip

# The last ones are what both libraries meet in archives that are damaged, and raise as it is.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, ValueError, LookupError, struct.error)


def unpack(archive: Path, folder: Path, shown: str, allowance: Allowance) -> None:
    """Unpack an archive into an empty folder.

    :param str shown: what to call it in errors

    :raises CannotSetUp: it is no archive, is broken, has something in it that would lie outside, or is too large
    """
    try:
        if zipfile.is_zipfile(archive):
            unpack_zip(archive, folder, allowance)
        else:
            unpack_tar(archive, folder, allowance)
        check_links(folder)
    except NoTarFile as error:
        raise CannotSetUp(f"The workspace {shown} is neither a zip nor a tar file") from error
    except UnicodeDecodeError as error:
        raise CannotSetUp(
            f"The workspace {shown} is broken: a name in it is not the UTF-8 that it says it is"
        ) from error
    except _BROKEN as error:
        raise CannotSetUp(f"The workspace {shown} is broken: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # of zip files: a method of packing, or a password
        raise CannotSetUp(f"The workspace {shown} cannot be unpacked: {error}") from error
