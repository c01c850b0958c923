"""The workspace of a run: what `workspaceUrl` names, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradient_server.runners.process.addresses import Kind, credentials_of, kind_of, shown_address
from gradient_server.runners.process.real_paths import real
from gradient_server.runners.process.set_up import Allowance, CannotSetUp


def prepare_workspace(body: Mapping[str, Any], folder: Path, leave_out: Path) -> Path:
    """Make the workspace, and give the directory in it that commands run in.

    :param body: what the experiment was created with, by the names of the contract
    :param Path folder: where to make it; there is nothing yet
    :param Path leave_out: where runs are kept, which is never a part of a workspace

    :raises CannotSetUp: it cannot be made
    """
    try:
        folder.mkdir(mode=0o700)
        _fill(body, folder, leave_out)
        directory = _working_directory(folder, body.get("workingDirectory"))
        _make_artifact_directory(folder, body.get("artifactDirectory"))
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise CannotSetUp(f"The workspace cannot be set up: {error.strerror or error}{place}") from error
    return directory


def _fill(body: Mapping[str, Any], folder: Path, leave_out: Path) -> None:
    url, ref = body.get("workspaceUrl") or "", body.get("workspaceRef") or None
    allowance = Allowance()
    # What is needed is loaded here: an experiment is not to wait for what only others need.
    match kind_of(url, ref):
        case Kind.FOLDER, Path() as path:
            _copy(path, folder, leave_out, allowance)
        case Kind.ARCHIVE, Path() as path:
            from gradient_server.runners.process.archives import unpack

            unpack(path, folder, str(path), allowance)
        case Kind.DOWNLOAD, _:
            from gradient_server.runners.process.archives import unpack
            from gradient_server.runners.process.download import download

            with tempfile.NamedTemporaryFile(dir=folder.parent, prefix="archive-") as file:
                download(url, credentials_of(url, body), file)
                unpack(Path(file.name), folder, shown_address(url), allowance)
        case Kind.GIT, path:
            from gradient_server.runners.process.git_clone import clone

            clone(path.as_uri() if path else url, ref, credentials_of(url, body), folder)
        case _:
            pass  # without a workspace, a run begins with nothing


def _copy(source: Path, folder: Path, leave_out: Path, allowance: Allowance) -> None:
    """Copy a folder; links stay links."""
    leave_out = real(leave_out)
    if real(source).is_relative_to(leave_out) and real(folder).is_relative_to(real(source)):
        raise CannotSetUp(f"The workspace {source} is where the server keeps its runs; give the folder of a project")

    def ignored(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if real(Path(directory, name)) == leave_out]

    def copy(source: str, target: str) -> str:
        if not os.path.isfile(source):
            raise CannotSetUp(f"{source} in the workspace is neither a file nor a folder; remove it")
        allowance.take(os.path.getsize(source))
        return shutil.copy2(source, target)

    try:
        shutil.copytree(source, folder, symlinks=True, ignore=ignored, copy_function=copy, dirs_exist_ok=True)
    except shutil.Error as error:
        _, _, first = error.args[0][0]
        raise CannotSetUp(f"The workspace {source} cannot be copied: {first}") from error


def _working_directory(folder: Path, given: str | None) -> Path:
    if not given:
        return folder
    directory = folder / given
    _check_inside(folder, directory, f"workingDirectory {given}")
    if not directory.is_dir():
        names = sorted(entry.name for entry in folder.iterdir())
        there = f"it has {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else "which is empty"
        raise CannotSetUp(f"workingDirectory {given} is no folder of the workspace: {there}")
    return directory


def _make_artifact_directory(folder: Path, given: str | None) -> None:
    # One that was a place of its own in containers is none here; the first row says that it is not used.
    if given and not os.path.isabs(given):
        directory = folder / given
        _check_inside(folder, directory, f"artifactDirectory {given}")
        directory.mkdir(parents=True, exist_ok=True)


def _check_inside(folder: Path, directory: Path, what: str) -> None:
    if not real(directory).is_relative_to(real(folder)):
        raise CannotSetUp(f"{what} is not in the workspace; give a path that is relative to its top")
