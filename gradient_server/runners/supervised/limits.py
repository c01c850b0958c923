"""Limits of runs on one machine, and the error of a run that cannot be set up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from attrs import define

MAX_BYTES = 4 * 1024**3
"""Bytes of the files in an archive, and of one that is downloaded."""
MAX_FILES = 200_000
"""Files and folders in an archive."""
_ADVICE = "keep data outside of it, and give commands the path"


class SetupError(Exception):
    """The experiment cannot be set up. The text says why and what would be right; clients see it as its error.

    :param str node: the name of the node that this is about; None: it is about all of it
    """

    def __init__(self, text: str, node: str | None = None) -> None:
        super().__init__(text)
        self.node = node


@define
class Quota:
    """How much may still be put into a workspace.

    :param int bytes: bytes of contents
    :param int files: files and folders
    """

    bytes: int = MAX_BYTES
    files: int = MAX_FILES

    def take(self, bytes: int, files: int = 1) -> None:
        """Use up some of it.

        :raises SetupError: less than that is left
        """
        self.bytes -= bytes
        self.files -= files
        if self.bytes < 0:
            raise SetupError(
                f"The workspace is larger than {MAX_BYTES // 1024**3} GiB, the most that is allowed; {_ADVICE}"
            )
        if self.files < 0:
            raise SetupError(f"The workspace has more than {MAX_FILES} files, the most that is allowed; {_ADVICE}")


def listed(names: Sequence[str]) -> str:
    """Return the first ten of some names for a text; what is not UTF-8 in them is replaced."""
    text = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return text.encode(errors="replace").decode()


def real_path(path: Path) -> Path:
    """Return a path with all links resolved. Before Python 3.13, `Path.resolve` raises for links in a circle."""
    return Path(os.path.realpath(path))
