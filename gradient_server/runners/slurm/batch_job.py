"""The program of a Slurm job: `python -m gradient_server.runners.slurm.batch_job DIRECTORY`, the supervisor of a run.

A single node runs beside it. Several nodes have agents, which `srun` starts on all machines of the job.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from attrs import evolve

from gradient_server.runners.slurm.agents import SrunLauncher, components_of, own_address
from gradient_server.runners.slurm.commands import SlurmError, list_lost
from gradient_server.runners.slurm.job_states import NODE_FAIL, ending_text, notice_state
from gradient_server.runners.slurm.network_files import Flusher, is_on_nfs
from gradient_server.runners.slurm.upload import remove_upload
from gradient_server.runners.supervised.local_nodes import Launch, LocalNodes
from gradient_server.runners.supervised.node_group import Nodes
from gradient_server.runners.supervised.processes import run_guarded
from gradient_server.runners.supervised.remote_nodes import RemoteNodes
from gradient_server.runners.supervised.run_files import RunDirectory
from gradient_server.runners.supervised.supervisor import supervise_in_foreground

_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK", "TMPDIR")
"""Variables that Slurm sets for a job, and that its commands see."""


def main(path: Path) -> int:
    """Supervise a run in a child process until its end: without cgroups, Slurm leaves what a killed one has started."""
    return run_guarded(partial(supervise, path))


def supervise(path: Path) -> int:
    """Supervise a run until its end. SIGUSR1 means that it is to be stopped, and SIGTERM that Slurm ends the job."""
    # Before the signal can come: the directory may be renamed later, and another run have its name.
    os.chdir(path)
    signal.signal(signal.SIGUSR1, lambda number, frame: stop())
    if supervise_in_foreground(path, make_nodes, lambda: termination_text(path)):
        remove_upload(RunDirectory(Path()))
    return 0


def stop() -> None:
    """Stop the run of this process, whose directory is the working directory."""
    # The server has written the request, but this machine may believe for a while that there is no such file.
    with contextlib.suppress(OSError):
        RunDirectory(Path()).request_stop()
    os.kill(os.getpid(), signal.SIGTERM)


def make_nodes(launch: Launch) -> Nodes:
    """Return the nodes of a run, on this machine or on all machines of the job."""
    spec, files = launch.spec, launch.directory
    if is_on_nfs(launch.files.path):
        indexes = range(len(spec.nodes))
        Flusher([files.events, *map(files.log, indexes), *map(files.pushed, indexes)]).start()
    if len(spec.nodes) > 1:
        components = components_of(os.environ)
        return RemoteNodes(launch, SrunLauncher(components), own_address(components, os.environ))
    launch.events.write(machines=[os.environ.get("SLURMD_NODENAME") or socket.gethostname()])
    own = job_variables(os.environ)
    machines = tuple({**own, **given} for given in spec.machines) or (own,)
    return LocalNodes(evolve(launch, spec=evolve(spec, machines=machines)))


def job_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a job that commands see. Others would have their libraries start more tasks by Slurm."""
    return {name: environment[name] for name in _PASSED_ON if name in environment}


def termination_text(path: Path) -> str | None:
    """Return why Slurm ends this job, by its notice in the log; None: there is none.

    :param Path path: the directory of the run
    """
    try:
        lines = RunDirectory(path).supervisor_log.read_text(errors="replace").splitlines()
    except OSError:
        return None
    notice = notice_state(lines)
    if not notice:
        return None
    if notice.state == NODE_FAIL:
        # The notice names the machine that writes it.
        lost: list[str] = []
        with contextlib.suppress(SlurmError):
            lost = list_lost(os.environ.get("SLURM_JOB_NODELIST", ""))
        notice = evolve(notice, machines=", ".join(lost))
    return ending_text(evolve(notice, id=os.environ.get("SLURM_JOB_ID", "")), "", was_started=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
