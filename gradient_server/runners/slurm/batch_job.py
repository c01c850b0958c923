"""What a job of Slurm runs: `python -m gradient_server.runners.slurm.batch_job DIRECTORY`, the supervisor of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from gradient_server.runners.slurm.job_states import ending_text, notice_state
from gradient_server.runners.slurm.upload import remove_upload
from gradient_server.runners.supervised.local_nodes import Launch, LocalNodes
from gradient_server.runners.supervised.node_group import Nodes
from gradient_server.runners.supervised.run_files import RunDirectory
from gradient_server.runners.supervised.supervisor import supervise_in_foreground

_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK", "TMPDIR")
"""Variables that Slurm sets for a job, and that its commands see."""


class SlurmNodes(LocalNodes):
    """Nodes on the machine of the batch job."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self._files = launch.directory

    def prepare(self) -> None:
        """Fetch the workspace, and remove the parts that it was uploaded in."""
        super().prepare()
        remove_upload(self._files)


def main(path: Path) -> None:
    """Supervise a run until its end."""

    def make_nodes(launch: Launch) -> Nodes:
        spec = launch.spec
        own = job_variables(os.environ)
        machines = tuple({**own, **given} for given in spec.machines) or tuple(own for _ in spec.nodes)
        return SlurmNodes(evolve(launch, spec=evolve(spec, machines=machines)))

    supervise_in_foreground(path, make_nodes, lambda: termination_text(path))


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
    return ending_text(evolve(notice, id=os.environ.get("SLURM_JOB_ID", "")), "", was_started=True) if notice else None


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
