"""Processes of this machine: their identity, their groups, and how to kill them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import psutil

RUN_VARIABLE = "GRADIENT_RUN"
"""The environment variable of every process of a run; its value is the identity of the supervisor."""
_POLL = 0.005
_KILL_TIMEOUT = 5.0
"""Seconds after which processes that cannot be killed are left alone."""
_PR_SET_CHILD_SUBREAPER = 36


class ProcessId(NamedTuple):
    """A process that cannot be confused with a later one of the same number.

    :param int pid: its number; for the leader of a process group also the number of the group
    :param str start_time: when it was started, in the system's terms
    """

    pid: int
    start_time: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Return the identity of a running process."""
        return cls(pid, _start_time(pid) or "")

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return bool(self.start_time) and _start_time(self.pid) == self.start_time

    def may_have_group(self) -> bool:
        """Whether the process group that it led may still exist: no other process has its number now."""
        if not signal_group(self.pid, 0):
            return False
        start_time = _start_time(self.pid)
        return start_time == self.start_time if start_time else self.start_time.startswith(_boot_id())

    def __str__(self) -> str:
        """Return a text that no other process has."""
        return f"{self.pid}-{self.start_time}"


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group, or none if the number is 0. Return whether the group exists."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # On macOS also if all of its processes are zombies.
        return number == 0 and sys.platform != "darwin"
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def become_subreaper() -> None:
    """Adopt all descendants that lose their parents. Only Linux can do that.

    On other systems, a process that leaves the process group of its node is not found when the node ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[tuple[int, int]]:
    """Return the child processes of this process, each with the number of its process group."""
    found: list[tuple[int, int]] = []
    for child in psutil.Process().children():
        with contextlib.suppress(ProcessLookupError):
            found.append((child.pid, os.getpgid(child.pid)))
    return found


def kill_children() -> None:
    """Kill all child processes, and the orphans that this process adopts meanwhile."""
    deadline = time.monotonic() + _KILL_TIMEOUT
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            for pid, _ in children():
                kill(pid)
            time.sleep(_POLL)


def kill_run(supervisor: ProcessId | None, groups: Collection[ProcessId]) -> None:
    """Kill all processes of a run whose supervisor has died, and wait until they are gone."""
    deadline = time.monotonic() + _KILL_TIMEOUT
    while time.monotonic() < deadline:
        remaining = [group.pid for group in groups if group.may_have_group()]
        for group in remaining:
            signal_group(group, signal.SIGKILL)
        others = _processes_of_run(supervisor) if supervisor else []
        for pid in others:
            kill(pid)
        if not remaining and not others:
            return
        time.sleep(_POLL)


def _processes_of_run(supervisor: ProcessId) -> list[int]:
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or belongs to another user
            if process.environ().get(RUN_VARIABLE) == str(supervisor):
                found.append(process.pid)
    return found


def _start_time(pid: int) -> str | None:
    """Return when a process was started; None if there is no such process, or only a zombie."""
    if sys.platform == "linux":
        # Not `psutil.Process.create_time`: that moves with the clock of the machine.
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        # The name of the program is in parentheses, and may contain some itself.
        state, *fields = stat.rpartition(")")[2].split()
        return None if state in "ZX" else f"{_boot_id()} {fields[18]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else time.ctime(int(process.create_time()))
    except psutil.Error:
        return None


@functools.cache
def _boot_id() -> str:
    """Return an id of the time since the machine was started, within which start times are unique."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
