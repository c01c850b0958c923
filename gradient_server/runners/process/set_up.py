"""What can go wrong before anything runs, and how much a workspace may hold."""

from __future__ import annotations

from attrs import define

MOST_BYTES = 4 * 1024**3
MOST_FILES = 200_000


class CannotSetUp(Exception):
    """The experiment cannot be set up. The text says why, and what would be right; it is told as its error."""


@define
class Allowance:
    """How much may still be put into a workspace.

    :param int bytes: of contents
    :param int files: files and folders
    """

    bytes: int = MOST_BYTES
    files: int = MOST_FILES

    def take(self, bytes: int, files: int = 1) -> None:
        """Use some of it.

        :raises CannotSetUp: there is not that much left
        """
        self.bytes -= bytes
        self.files -= files
        if self.bytes < 0:
            raise CannotSetUp(f"The workspace is larger than {MOST_BYTES // 1024**3} GiB, the most that is allowed")
        if self.files < 0:
            raise CannotSetUp(f"The workspace has more than {MOST_FILES} files, the most that is allowed")
