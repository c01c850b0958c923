"""The directory of a run: what is where, and who holds it. Its owner's alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from attrs import frozen

REMOVED = "The files of the run have been removed, so that nobody knows how it went; it does not run again"
"""What is said of a run whose directory somebody has removed."""


@frozen
class RunDirectory:
    """The directory of a run.

    :param Path path: where it is
    """

    path: Path

    @property
    def events(self) -> Path:
        """What has happened."""
        return self.path / "events.jsonl"

    @property
    def storage(self) -> Path:
        """Where commands keep data and models."""
        return self.path / "storage"

    @property
    def workspace(self) -> Path:
        """Where commands run."""
        return self.path / "workspace"

    @property
    def host_file(self) -> Path:
        """The nodes, as `mpirun` reads them."""
        return self.path / "hostfile"

    @property
    def complaints(self) -> Path:
        """What a supervisor says that has gone wrong itself."""
        return self.path / "supervisor.log"

    @property
    def stop(self) -> Path:
        """Is there when the run is to be stopped."""
        return self.path / "stop"

    @property
    def is_run(self) -> bool:
        """Whether a run is or was there, and not something of others."""
        return (self.path / "jobs").is_dir() and (self.events.is_file() or self._spec.is_file())

    @property
    def _spec(self) -> Path:
        return self.path / "spec.json"

    def log(self, index: int) -> Path:
        """The rows of a job."""
        return self.path / "jobs" / f"{index}.log"

    def make(self, spec: dict[str, Any]) -> None:
        """Make it, with what is to be run; that may hold secrets."""
        self.make_folder()
        _make(self.path / "jobs", self.storage)
        unfinished = self.path / "spec.new"
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(spec, file)
        unfinished.replace(self._spec)

    def make_folder(self) -> None:
        """Make the directory alone, and the one that it is in; somebody may have removed either."""
        _make(self.path.parent, self.path)

    def take_spec(self) -> dict[str, Any]:
        """Read what is to be run, and leave nothing of it."""
        spec: dict[str, Any] = json.loads(self._spec.read_bytes())
        self.drop_spec()
        return spec

    def drop_spec(self) -> None:
        """Leave nothing of what was to be run, where nobody will read it any more."""
        self._spec.unlink(missing_ok=True)

    def lock(self) -> int | None:
        """Hold it for as long as the file is open that is given, by whoever has it; None: somebody else does."""
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return None
        return file

    @contextlib.contextmanager
    def locked(self) -> Generator[bool, None, None]:
        """Hold it in the block, and tell whether that was possible."""
        file = self.lock()
        try:
            yield file is not None
        finally:
            if file is not None:
                os.close(file)


def _make(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(mode=0o700, exist_ok=True)
