"""The directory of all runs: who uses it, and what in it is whose. Others may have put something there, too."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from secrets import token_hex

from gradient_server.private_files import private_folder
from gradient_server.runners.process.run_directory import RunDirectory

_FORGOTTEN = ".forgotten-"
_KEPT = "kept-"


class RunsDirectory:
    """The directory of all runs, each in one of its own, by its handle.

    Those that are forgotten have another name until they are removed, so that another run can have theirs. So have
    those that nobody knows any more, which stay: where a store was lost, they are all that there is.

    :param Path path: where it is
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._is_new = False

    @contextlib.contextmanager
    def held(self) -> Generator[None, None, None]:
        """Have it for this server alone; it is made if it is missing.

        :raises OSError: another server uses it, it is not its owner's alone, or it cannot be used; the error has its
            `filename`
        """
        self._is_new = not self.path.exists()
        with private_folder(self.path):
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OSError(errno.EBUSY, "is used by another server", str(self.path)) from None
            yield
        finally:
            os.close(file)

    def of(self, handle: str) -> RunDirectory:
        """Give the directory of a run."""
        return RunDirectory(self.path / handle)

    def unknown(self, known: Collection[str]) -> list[RunDirectory]:
        """Give the directories of runs that nobody knows, or that were being removed; what is no run is left alone.

        :param known: the handles of those that somebody knows
        """
        return [found for found in self._runs() if found.path.name not in known]

    def out_of_the_way(self, directory: RunDirectory, *, keep: bool) -> RunDirectory:
        """Give another name for a run, so that another run can have its own; one that has such a name stays there."""
        name = directory.path.name
        if name.startswith((_FORGOTTEN, _KEPT)):
            return directory
        return self.of(f"{_KEPT if keep else _FORGOTTEN}{name}-{token_hex(4)}")

    def remove(self, directory: RunDirectory) -> None:
        """Remove a run, by and by; not one that is kept, of which only that goes which was to be run."""
        if directory.path.name.startswith(_KEPT):
            directory.drop_spec()
        else:
            shutil.rmtree(directory.path, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove what servers have made there, but for what is kept; the directory, too, if this one has made it."""
        for run in self._runs():
            self.remove(run)
        self._lock.unlink(missing_ok=True)
        if self._is_new:
            with contextlib.suppress(OSError):  # there is something of others in it
                self.path.rmdir()

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def _runs(self) -> Iterator[RunDirectory]:
        # Somebody may have removed it.
        for path in sorted(self.path.iterdir()) if self.path.exists() else ():
            if path.is_symlink() or not path.is_dir():
                continue
            # Of one that was being removed there may be anything left.
            if path.name.startswith(_FORGOTTEN) or RunDirectory(path).is_run:
                yield RunDirectory(path)
