"""Machines of a cluster on this one: each has a network interface, processes, mounts and a host name of its own.

`python -m tests.cluster.machines COMMAND...` executes a command in a network where they can be: it has no interface but
its own loopback, so that two runs never meet, and the kernel removes it with its last process. Root needs nothing for
that; others need user namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import psutil

T = TypeVar("T")
TIMEOUT = 60.0
"""Seconds within which machines and engines are up."""
SERVER = "10.77.0.100"
"""The address of this process as the machines reach it."""
_BRIDGE = "machines"
_PORT_PREFIX = "port-"
# Ends with the thread that starts it, and everything in it with it.
_DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_PACKAGES = {"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "ip": "iproute2"}
_BOOT = """
set -e
hostname "$1"
mount --make-rprivate /
mount -t tmpfs tmpfs /dev/shm
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/$1" "$2/local"
ip link set lo up
read interface  # waits until the other end has given it one
ip address add "$3/24" dev eth0
ip link set eth0 up
echo up
sleep infinity &
wait  # and reap what the first process of a machine adopts
"""


class Machine:
    """One machine.

    :param str name: its host name, which the machines can look up
    :param str address: its address
    :param Path folder: in which `local` is another folder on each machine; here, that of `m1` is `m1`
    """

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name, self.address = name, address
        self._folder = folder
        self._first: subprocess.Popen[str] | None = None
        self._commands: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """Switch it on. Nothing runs on it then."""
        port = f"{_PORT_PREFIX}{self.name}"
        flags = ("--net", "--pid", "--mount", "--uts", "--fork", "--kill-child", "--mount-proc")
        arguments = (self.name, str(self._folder), self.address)
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._first = popen_here(["unshare", *flags, "sh", "-c", _BOOT, "sh", *arguments], **pipes)
        try:
            pid = str(wait_for(self._pid, f"the machine {self.name}", self._first))
            _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid)
            _ip("link", "set", port, "master", _BRIDGE, "up")
            assert self._first.stdin is not None
            assert self._first.stdout is not None
            print("eth0", file=self._first.stdin, flush=True)
            if self._first.stdout.readline() != "up\n":
                raise RuntimeError(f"The machine {self.name} does not start: {self._first.communicate()[1].strip()}")
        except BaseException:
            self.kill()
            raise

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Execute a command on it, with the options of `subprocess.Popen`."""
        pid = self._pid()
        if pid is None:
            raise RuntimeError(f"The machine {self.name} is off")
        enter = ("nsenter", "--target", str(pid), "--net", "--pid", "--mount", "--uts", "--")
        self._commands.append(popen_here([*enter, *command], **options))
        return self._commands[-1]

    def run(self, *command: str) -> str:
        """Execute a command on it, and return what it prints."""
        with self.popen(command, stdout=subprocess.PIPE) as process:
            output = process.communicate()[0]
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, output)
        return output

    def processes(self) -> list[psutil.Process]:
        """Return what runs on it, but for the two processes of every machine."""
        first = self._pid()
        if first is None:
            return []
        space = _process_space(first)
        others = (each for each in psutil.process_iter(["cmdline"]) if each.pid != first)
        return [
            each
            for each in others
            if _process_space(each.pid) == space and each.info["cmdline"] != ["sleep", "infinity"]
        ]

    def kill(self) -> None:
        """Switch it off, as a power cut does: no connection is closed, nothing is written any more."""
        if self._first is not None:
            subprocess.run(["ip", "link", "delete", f"{_PORT_PREFIX}{self.name}"], capture_output=True)
            # With the first process of a namespace, all of it ends.
            os.kill(self._pid() or self._first.pid, signal.SIGKILL)
            self._first.communicate()
            self._first = None
            for process in self._commands:
                process.wait(TIMEOUT)
            self._commands.clear()

    def _pid(self) -> int | None:
        """Return its first process, as this machine counts; None: it is off."""
        if self._first is None:
            return None
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        pids = children.read_text().split() if children.exists() else []
        return int(pids[0]) if pids else None


class Machines:
    """Machines `m1`, `m2` and so on, all on one network with this process, and with its file system.

    :param int count: the number of machines
    :param Path folder: for their files
    """

    def __init__(self, count: int, folder: Path) -> None:
        addresses = {f"m{number}": f"10.77.0.{number}" for number in range(1, count + 1)}
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in addresses.items()), ""]
        (folder / "hosts").write_text("\n".join(lines))
        for name in ("local", *addresses):
            (folder / name).mkdir()
        self.all = [Machine(name, address, folder) for name, address in addresses.items()]

    def __enter__(self) -> Machines:
        """Start them.

        :raises RuntimeError: they cannot be here; the text says what is missing
        """
        if reason := why_impossible():
            raise RuntimeError(reason)
        with contextlib.ExitStack() as stack:
            _ip("link", "add", "name", _BRIDGE, "type", "bridge")
            stack.callback(_ip, "link", "delete", _BRIDGE)
            _ip("address", "add", f"{SERVER}/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            for machine in self.all:
                machine.start()
                stack.callback(machine.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Switch all of them off."""
        self._stack.close()

    def __getitem__(self, name: str) -> Machine:
        return next(machine for machine in self.all if machine.name == name)


def why_impossible() -> str | None:
    """Return why this process cannot have machines, in words, or None if it can."""
    if missing := missing_packages(_PACKAGES):
        return missing
    if any(name != "lo" and name != _BRIDGE and not name.startswith(_PORT_PREFIX) for _, name in socket.if_nameindex()):
        return "Machines need a network of their own: make test-cluster"
    return None


def _process_space(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None  # it has ended


def missing_packages(packages: dict[str, str]) -> str | None:
    """Return which of some programs are missing, in words, or None if all are there.

    :param packages: the Debian package of each program
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    missing = {name: package for name, package in packages.items() if not shutil.which(name, path=path)}
    debian = " ".join(sorted({*missing.values()}))
    names = ", ".join(missing)
    return f"{names} not found; make setup-cluster-debian installs the packages {debian}" if missing else None


def popen_here(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Execute a command in this process's network, until this process ends at the latest."""
    # Not by Ctrl-C, which ends this process in an order of its own.
    return subprocess.Popen([*_DIES_WITH_PARENT, *command], text=True, start_new_session=True, **options)


def wait_for(
    condition: Callable[[], T], what: str, process: subprocess.Popen[str] | None = None, timeout: float = TIMEOUT
) -> T:
    """Return the value of a condition as soon as it is true.

    :param str what: what is waited for, for the error
    :param Popen process: whose end means that it never will be
    :param float timeout: in seconds

    :raises TimeoutError: it has not become true
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{what} has ended: {process.stderr.read().strip() if process.stderr else ''}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:.0f} seconds for {what}")
        time.sleep(0.01)
    return value


def execute(command: Sequence[str]) -> NoReturn:
    """Replace this process by a command in a network of its own."""
    flags = ["--net", "--mount"]
    if os.geteuid() != 0:
        flags += ["--map-current-user", "--keep-caps"]
    if subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode:
        sys.exit("Machines need root, or the right to create user namespaces: kernel.unprivileged_userns_clone=1")
    os.execvp("unshare", ["unshare", *flags, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command])


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    execute(sys.argv[1:])
