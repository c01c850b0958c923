"""Processes of this machine: their identity, their groups, and how to kill them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

RUN_VARIABLE = "GRADIENT_RUN"
"""The environment variable of every process of a run; its value is the identity of the supervisor."""
_POLL = 0.005
_KILL_TIMEOUT = 5.0
"""Seconds after which processes that cannot be killed are left alone."""
_MAX_DESCRIBED = 10
"""Processes that are named in an error."""
_PASSED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}
_SIGNAL_OFFSET = 128
"""A shell exits with this plus the number of the signal that has killed its command."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_OWN_GROUPS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


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


def available_processors(own: Path = _OWN_GROUPS, cgroups: Path = _GROUPS) -> int:
    """Return how many processors this process may use: by its affinity, and by the quotas of its control groups."""
    counts = [len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1]
    groups = _control_groups(own, cgroups, ("", "cpu", "cpu,cpuacct"))
    counts += [math.ceil(quota) for group in groups if (quota := _processor_quota(group))]
    return max(1, min(counts))


def available_memory(own: Path = _OWN_GROUPS, cgroups: Path = _GROUPS) -> int:
    """Return how many bytes of memory there are, whether used or not, or how many its control groups may use."""
    sizes = [int(psutil.virtual_memory().total)]
    for group in _control_groups(own, cgroups, ("", "memory")):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # "max": no limit
                sizes.append(int((group / name).read_text()))
    return min(sizes)


def _control_groups(own: Path, cgroups: Path, controllers: Collection[str]) -> list[Path]:
    """Return the control groups of this process that these controllers are for, with those that they are in."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controller, group = line.split(":", 2)
            if controller in controllers:
                folder = cgroups / controller / group.lstrip("/")
                found += [folder, *folder.parents]
    return found


def _processor_quota(group: Path) -> float | None:
    """Return how many processors a control group may use; None: any number."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError):
            quota, period = " ".join((group / name).read_text() for name in names).split()
            if float(quota) > 0:
                return float(quota) / float(period)
    return None


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group, or none if the number is 0. Return whether the group exists."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # On macOS also if all of its processes are zombies.
        return sys.platform != "darwin"
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal to a process, which may have ended. Return whether that is permitted."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def become_subreaper() -> None:
    """Adopt all descendants that lose their parents. Only Linux can do that.

    On other systems, a process is not found when its node ends if it has left the process group and lost its parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def terminate_with_parent() -> None:
    """Have this process receive SIGTERM when its parent ends. Only Linux can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def run_guarded(run: Callable[[], int]) -> int:
    """Run a function in a child process, and return its exit code. Whatever ends that, nothing it has started is left.

    Signals by which others end or stop this process go to the child.
    """
    become_subreaper()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    guard, child = os.getpid(), os.fork()
    try:
        if child:
            return _wait_for(child)
        terminate_with_parent()
        return run() if os.getppid() == guard else 1
    finally:
        # The child does so, too: both may be killed, but rarely at once.
        kill_descendants(os.getpid())


def _wait_for(child: int) -> int:
    """Pass signals on to a child. Return its exit code when it has ended."""
    while True:
        number = signal.sigwait({*_PASSED_ON, signal.SIGCHLD})
        if number in _PASSED_ON:
            kill(child, number)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _SIGNAL_OFFSET - code


def terminate_descendants(pid: int, groups: Collection[int] = ()) -> None:
    """Send SIGTERM to process groups, and to all descendants of a process that are in none of them.

    Stopped processes are woken up: otherwise they could not end in order. What is started afterwards, for example to
    save a checkpoint, receives no signal.
    """
    others = [process.pid for process in _descendants(pid) if _group(process.pid) not in groups]
    for number in (signal.SIGTERM, signal.SIGCONT):
        for group in groups:
            signal_group(group, number)
        for other in others:
            kill(other, number)


def kill_descendants(pid: int) -> list[str]:
    """Kill all descendants of a process, and the orphans that it adopts meanwhile.

    Return descriptions of those that cannot be killed, for example because they belong to another user.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT
    while True:
        _reap_children(pid)
        running = [process for process in _descendants(pid) if _is_running(process)]
        refused = [process for process in running if not kill(process.pid)]
        if len(refused) == len(running) or time.monotonic() > deadline:
            _reap_children(pid)
            return [_described(process) for process in running if _is_running(process)]
        time.sleep(_POLL)


def kill_run(supervisor: ProcessId | None, groups: Collection[ProcessId]) -> list[str]:
    """Kill the processes of a run whose supervisor has died, and wait until they are gone.

    Return descriptions of those that cannot be killed. Processes that have left their group are found by
    `RUN_VARIABLE`, unless they belong to another user.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT
    killed: set[int] = set()
    while True:
        remaining = [group.pid for group in groups if group.may_have_group()]
        for group in remaining:
            signal_group(group, signal.SIGKILL)
        others = _processes_of_run(supervisor) if supervisor else []
        for process in others:
            kill(process.pid)
        killed |= {-group for group in remaining} | {process.pid for process in others}
        for number in killed:
            reap(number)
        if not remaining and not others:
            return []
        if time.monotonic() > deadline:
            return [_described(process) for process in [*_processes_in(remaining), *others]]
        time.sleep(_POLL)


def reap(pid: int) -> bool:
    """Reap a process, or all of a process group if the number is negative. Return whether there is nothing to reap.

    Orphans are children of the first process of a container, which may be a server.
    """
    try:
        while os.waitpid(pid, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def not_ended(processes: Sequence[str]) -> str | None:
    """Return a sentence about processes that could not be ended; None: there are none."""
    if not processes:
        return None
    more = ", ..." if len(processes) > _MAX_DESCRIBED else ""
    return f"These processes could not be ended: {', '.join(processes[:_MAX_DESCRIBED])}{more}"


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _reap_children(pid: int) -> None:
    if pid == os.getpid():
        reap(-1)


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _described(process: psutil.Process) -> str:
    try:
        return f"{process.pid} ({process.name()} of {process.username()})"
    except psutil.Error:
        return str(process.pid)


def _processes_in(groups: Collection[int]) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _group(process.pid) in groups and _is_running(process)]


def _processes_of_run(supervisor: ProcessId) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or belongs to another user
            if process.environ().get(RUN_VARIABLE) == str(supervisor):
                found.append(process)
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
