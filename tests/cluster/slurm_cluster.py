"""A Slurm cluster of three machines: a controller beside this process, and slurmd on each machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tests.cluster.machines import SERVER, Machine, Machines, missing_packages, popen_here, wait_for, why_impossible

_PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    **dict.fromkeys(("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo"), "slurm-client"),
}
_CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}({server})
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
KillWait=5
MinJobAge=300
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdTimeout=12
SlurmctldTimeout=6
TCPTimeout=1
MessageTimeout=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/local/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/local/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/local/slurmd.log
NodeName=m1 NodeAddr=10.77.0.1 CPUs=2 RealMemory=2000 Weight=1
NodeName=m2 NodeAddr=10.77.0.2 CPUs=2 RealMemory=2000 Weight=2 Features=P100
NodeName=m3 NodeAddr=10.77.0.3 CPUs=2 RealMemory=2000 Weight=2 Features=P100,third Gres=gpu:2
PartitionName=main Nodes=m[1-3] Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=m[1-3] MaxTime=1 State=UP
"""
_FILES = {
    "gres.conf": "NodeName=m3 Name=gpu File=/dev/null,/dev/zero\n",
    "cgroup.conf": "CgroupPlugin=cgroup/v1\n",
}

_SILENT = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)


class SlurmCluster:
    """Slurm on machines `m1`, `m2` and `m3`, with two CPUs each, until the end of the `with` block.

    `m2` and `m3` have the feature P100, `m3` also third and two GPUs, which are no real ones. The partition is `main`,
    and `short` has a limit of a minute. This process can use Slurm's commands (`SLURM_CONF` is set), and its file
    system is that of the machines.
    """

    def __enter__(self) -> SlurmCluster:
        """Start it.

        :raises RuntimeError: it cannot be here; the text says what is missing
        """
        if reason := why_no_slurm():
            raise RuntimeError(reason)
        with contextlib.ExitStack() as stack:
            # Short: the paths of sockets have at most 107 characters.
            self.folder = Path(tempfile.mkdtemp(prefix="gradient-slurm-", dir="/tmp"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._configure()
            stack.callback(os.environ.pop, "SLURM_CONF")
            os.environ["SLURM_CONF"] = str(self.folder / "slurm.conf")
            self.machines = stack.enter_context(Machines(3, self.folder))
            stack.enter_context(self._munge())
            self._controller: subprocess.Popen[str] | None = None
            stack.callback(self.kill_controller)
            self.start_controller()
            for machine in self.machines.all:
                self._start_daemon(machine)
            self.wait_until_idle()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, and all that runs on it."""
        self._stack.close()

    def metadata(self) -> str:
        """Return all that everybody can read about jobs."""
        commands = (
            ["scontrol", "show", "job", "-dd"],
            ["squeue", "-a", "-t", "all", "-o", "%all"],
            ["squeue", "--json"],
        )
        return "".join(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout for command in commands)

    def start_controller(self) -> None:
        """Start slurmctld, which takes up what an earlier one has written."""
        self._controller = popen_here([_path("slurmctld"), "-D"], **_SILENT)

    def kill_controller(self) -> None:
        """End slurmctld by SIGKILL."""
        if self._controller is not None:
            self._controller.kill()
            self._controller.wait()

    def kill_machine(self, name: str) -> None:
        """Switch a machine off."""
        self.machines[name].kill()

    def restart_machine(self, name: str) -> None:
        """Switch a machine on again, and wait until it takes jobs."""
        self.machines[name].start()
        self._start_daemon(self.machines[name])
        self.wait_until_idle()

    def restart_daemon(self, name: str) -> None:
        """End the slurmd of a machine by SIGKILL, and start another one. Jobs have processes of their own."""
        for process in self.machines[name].processes():
            if process.name() == "slurmd":
                process.kill()
        self._start_daemon(self.machines[name])

    def wait_until_idle(self) -> None:
        """Wait until all machines are there and none has a job."""

        def all_are_idle() -> bool:
            found = subprocess.run(["sinfo", "-h", "-p", "main", "-N", "-o", "%N %T"], capture_output=True, text=True)
            return found.stdout.split("\n")[:-1] == [f"{machine.name} idle" for machine in self.machines.all]

        wait_for(all_are_idle, "idle machines", self._controller)

    def _configure(self) -> None:
        self.folder.chmod(0o755)  # munged looks at who could replace its socket
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        (self.folder / "state").mkdir()
        names = {"host": socket.gethostname(), "server": SERVER, "folder": self.folder, "user": getpass.getuser()}
        (self.folder / "slurm.conf").write_text(_CONFIGURATION.format(**names))
        for name, text in _FILES.items():
            (self.folder / name).write_text(text)

    @contextlib.contextmanager
    def _munge(self) -> Iterator[None]:
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = (f"--{option}={self.folder}/munge.{suffix}" for option, suffix in files.items())
        # Forced, since munged does not trust a folder below one that all may write to.
        process = popen_here([_path("munged"), "--foreground", "--force", *options], **_SILENT)
        try:
            wait_for((self.folder / "munge.socket").exists, "munged", process)
            yield
        finally:
            process.kill()
            process.wait()

    def _start_daemon(self, machine: Machine) -> None:
        machine.popen([_path("slurmd"), "-D", "-N", machine.name], **_SILENT)


def why_no_slurm() -> str | None:
    """Return why there can be no Slurm cluster here, in words, or None if there can."""
    return why_impossible() or missing_packages(_PACKAGES)


def _path(program: str) -> str:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or program
