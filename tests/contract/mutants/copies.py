"""Copies of the project, and what can be run in them: nothing that is done there touches the working tree."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from gradient_server.runners.process.process_groups import kill, with_variable

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("gradient", "gradient_ext", "gradient_server", "gradient_api")
_WHERE = f"import {', '.join(PACKAGES)}\nfor found in {', '.join(PACKAGES)}: print(found.__file__)"
_PATIENCE = 10.0
"""Seconds after which what cannot be killed is left alone."""
_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()
_stopped = threading.Event()


@frozen
class Ended:
    """How a command ended; without an exit code it took too long."""

    code: int | None
    output: str


class Stopped(Exception):
    """Nothing is to be run any more."""


def copy_tracked_files(to: Path) -> None:
    """Copy every file that git knows, as it is in the working tree."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)


@contextlib.contextmanager
def copy_of(project: Path, name: str, *, keep: bool = False) -> Iterator[Path]:
    """Give a copy of a directory; it is gone in the end, unless it is to be kept."""
    scratch = Path(tempfile.mkdtemp(prefix=f"mutant-{name}-"))
    try:
        yield shutil.copytree(project, scratch, dirs_exist_ok=True)
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)


def strangers(copy: Path) -> list[str]:
    """Name the packages that are not imported from a copy, but from where they are installed."""
    found = run_python(copy, "-c", _WHERE, patience=60)
    places = [Path(line) for line in found.output.splitlines()]
    if found.code or len(places) != len(PACKAGES):
        raise RuntimeError(f"the packages cannot be imported in {copy}:\n{found.output}")
    return [name for name, place in zip(PACKAGES, places, strict=True) if copy not in place.parents]


def run_python(copy: Path, *arguments: str, patience: float) -> Ended:
    """Run Python in a copy, with the packages of the copy before those that are installed.

    :raises Stopped: `stop` has been called
    """
    with _ending_all() as mark:
        return _run([sys.executable, *arguments], copy, mark, patience)


def _run(command: list[str], copy: Path, mark: dict[str, str], patience: float) -> Ended:
    environment = {
        **os.environ,
        **mark,
        "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'generated'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }
    with _lock:
        if _stopped.is_set():
            raise Stopped
        process = subprocess.Popen(
            command,
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that what it starts ends with it
        )
        _running.add(process)
    try:
        output, _ = process.communicate(timeout=patience)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        _kill(process)
        output, code = process.communicate()[0], None
    finally:
        _kill(process)
        process.wait()
        with _lock:
            _running.discard(process)
    if _stopped.is_set():
        raise Stopped
    return Ended(code, output)


def stop() -> None:
    """Kill what runs in copies; nothing else can be run afterwards."""
    with _lock:
        _stopped.set()
        for process in _running:
            _kill(process)


@contextlib.contextmanager
def _ending_all() -> Iterator[dict[str, str]]:
    """Give a variable by which all that is started with it is found, and kill that in the end.

    Real runs leave the process group of whoever starts them, and with a fault they may not end. All of them are told
    where temporary files are; those are removed, too.
    """
    name, folder = "TMPDIR", tempfile.mkdtemp(prefix="mutant-")
    try:
        yield {name: folder}
    finally:
        deadline = time.monotonic() + _PATIENCE
        while (left := with_variable(name, folder)) and time.monotonic() < deadline:
            for pid in left:
                kill(pid)
            time.sleep(0.01)
        shutil.rmtree(folder, ignore_errors=True)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
