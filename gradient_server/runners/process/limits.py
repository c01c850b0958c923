"""Limits of runs on one machine, and the error of a run that cannot be set up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define

from gradient_server.runners.base import RunRejectedError

MAX_NODES = 64
"""Nodes of one experiment; all of them are processes of one machine."""
MAX_BYTES = 4 * 1024**3
"""Bytes of the files in a workspace, and of one that is downloaded."""
MAX_FILES = 200_000
"""Files and folders in a workspace."""


class SetupError(Exception):
    """The experiment cannot be set up. The text says why and what would be right; clients see it as its error."""


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
            raise SetupError(f"The workspace is larger than {MAX_BYTES // 1024**3} GiB, the most that is allowed")
        if self.files < 0:
            raise SetupError(f"The workspace has more than {MAX_FILES} files, the most that is allowed")


def check_request(body: Mapping[str, Any]) -> None:
    """Check what can be checked of an experiment before anything is stored.

    :raises RunRejectedError: processes of this machine cannot run it
    """
    counts = {name: count for name, count in body.items() if name.endswith("Count")}
    total = sum(counts.values())
    if total > MAX_NODES:
        text = f"All nodes run on the machine of the server: there can be {MAX_NODES} of them, not {total}."
        raise RunRejectedError(text, max(counts, key=counts.__getitem__))
    variables: Mapping[str, Any] = body.get("experimentEnv") or {}
    for name, value in variables.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            text = f"{name!r} must be the name of an environment variable, without = and NUL."
            raise RunRejectedError(text, "experimentEnv")
    # The system takes no NUL in arguments, environment variables or paths.
    for name, value in body.items():
        if isinstance(value, str) and "\0" in value:
            raise RunRejectedError("It must be text without NUL.", name)


def real_path(path: Path) -> Path:
    """Return a path with all links resolved. Before Python 3.13, `Path.resolve` raises for links in a circle."""
    return Path(os.path.realpath(path))
