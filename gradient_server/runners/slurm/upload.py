"""The parts of an uploaded workspace in the directory of a run: machines do not see the files of the server.

They are there from the submission of the job until its supervisor has made the workspace of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from gradient_server.runners.supervised.run_files import RunDirectory

_UPLOAD = "upload"


def upload_paths(directory: RunDirectory, upload: Sequence[str] | None) -> list[str] | None:
    """Return where machines find the parts of an uploaded workspace."""
    return None if upload is None else [str(directory.path.absolute() / _UPLOAD / Path(part).name) for part in upload]


def copy_upload(directory: RunDirectory, upload: Sequence[str]) -> None:
    """Have the parts of an uploaded workspace in the directory of the run, where machines find them.

    :raises OSError: that is impossible
    """
    folder = directory.path / _UPLOAD
    if upload:
        folder.mkdir(mode=0o700, exist_ok=True)
    for part in map(Path, upload):
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # the supervisor says that it is not there
            _copy(part, folder / part.name)


def remove_upload(directory: RunDirectory) -> None:
    """Remove the parts, which are in the workspace now."""
    shutil.rmtree(directory.path / _UPLOAD, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # on another file system
        draft = target.with_name(f"{target.name}.new")
        shutil.copyfile(source, draft)
        draft.replace(target)
