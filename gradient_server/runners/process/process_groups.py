"""Processes of this machine: which is which, what belongs to whom, and how to end it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_PATIENCE = 5.0
"""Seconds after which what cannot be killed is left alone."""
_PR_SET_CHILD_SUBREAPER = 36


class ProcessId(NamedTuple):
    """A process that is not taken for a later one with the same number.

    :param int pid: its number; for the leader of a process group, the number of the group, too
    :param str born: when it began, as the system says it
    """

    pid: int
    born: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Give that of a process that runs."""
        return cls(pid, _born(pid) or "")

    def is_alive(self) -> bool:
        """Say whether it is still there."""
        return _born(self.pid) == (self.born or None)

    def may_have_group(self) -> bool:
        """Say whether the process group that it led can still be there: no other process has its number now."""
        if not signal_group(self.pid, 0):
            return False
        born = _born(self.pid)
        return born == self.born if born else self.born.startswith(_boot())

    def __str__(self) -> str:
        """Give it as a text that no other process has."""
        return f"{self.pid}-{self.born}"


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; 0: none, but tell whether it is there."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # On macOS also where all that is left of it has ended.
        return number == 0 and sys.platform != "darwin"
    return True


def adopt_orphans() -> None:
    """Become the parent of whatever descends from this process and loses its own. Only Linux can do that.

    Elsewhere processes that have left the process group of their node are not found when it ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[tuple[int, int]]:
    """List the processes whose parent is this one, each with its process group; on Linux, elsewhere none."""
    own = os.getpid()
    return [(pid, int(fields[2])) for pid, fields in _processes() if int(fields[1]) == own]


def end_children() -> None:
    """Kill the processes whose parent is this one, and what becomes its children by that; on Linux, elsewhere none."""
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            found = children()
            if not found:
                return
            for pid, _ in found:
                kill(pid)
            time.sleep(0.005)


def with_variable(name: str, value: str) -> list[int]:
    """List the processes that were started with a variable in their environment; on Linux, elsewhere none."""
    wanted = f"{name}={value}".encode()
    found: list[int] = []
    for pid, _ in _processes():
        with contextlib.suppress(OSError):
            if wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Give the processes of the machine, with what `/proc` says of each from its state on."""
    for entry in os.listdir(_PROC) if sys.platform == "linux" else ():
        if entry.isdigit() and (fields := _stat(int(entry))):
            yield int(entry), fields


def _stat(pid: int) -> list[str]:
    try:
        # The name of the program is in parentheses, and may have some itself.
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _born(pid: int) -> str | None:
    if sys.platform == "linux":
        fields = _stat(pid)
        return f"{_boot()} {fields[19]}" if fields and fields[0] not in "ZX" else None
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


@functools.cache
def _boot() -> str:
    """Tell this start of the machine from others: after another one, numbers of processes mean nothing."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
