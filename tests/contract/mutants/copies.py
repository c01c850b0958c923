"""Copies of the project, and what can be run in them: nothing that is done there touches the working tree."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[3]


@frozen
class Ended:
    """How a command ended; without an exit code it took too long."""

    code: int | None
    output: str


class StaleFault(Exception):
    """A fault does not fit the code any more."""


@contextlib.contextmanager
def copy_of_the_project() -> Iterator[Path]:
    """Give a directory with every file that git knows, as it is in the working tree."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        copy = Path(scratch)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        yield copy


def replace_once(path: Path, old: str, new: str) -> None:
    """Replace a text that must stand in a file exactly once."""
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise StaleFault(f"{path.name} has {text.count(old)} times, not once: {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def run_python(copy: Path, *arguments: str, patience: float) -> Ended:
    """Run Python in a copy, with the packages of the copy before those that are installed."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'generated'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that what it starts ends with it
    )
    try:
        output, _ = process.communicate(timeout=patience)
        return Ended(process.returncode, output)
    except subprocess.TimeoutExpired:
        return Ended(None, "")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
