"""The job of a run: submitted once, whatever happens to the server meanwhile.

The name of the job is on the disk before it is submitted, and its number after that. A server that finds the name alone
looks for the job before it submits another one. If there are two all the same, one of them claims the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from secrets import token_hex

from gradient_server.runners.slurm.commands import SlurmError, TryAgainError, list_jobs, submit
from gradient_server.runners.slurm.job_states import JobStatus
from gradient_server.runners.slurm.upload import copy_upload
from gradient_server.runners.supervised.run_files import RunDirectory

PREFIX = "gradient-"
"""How the names of all jobs begin that servers submit."""
_MODULE = "gradient_server.runners.slurm.batch_job"


class Submission:
    """The job of a run. A thread submits it; others read how far that is.

    :param RunDirectory directory: of the run
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.name: str | None = None
        """The name of the job; None: it was never to be submitted."""
        self.job: str | None = None
        """Its number; None: it is not submitted, or nobody knows."""
        self.refusal: str | None = None
        """Why it cannot be submitted, in words."""
        self.problem: str | None = None
        """Why it is not submitted yet, in words."""
        self.is_cancelled = False
        """Whether it is not to run any more."""
        self._is_loaded = False
        self._is_recovered = False

    def load(self) -> None:
        """Read what an earlier server has written. Does nothing when it is called again."""
        if self._is_loaded:
            return
        self._is_loaded = True
        with contextlib.suppress(OSError, ValueError, AttributeError):
            members = json.loads((self.directory.path / "submission.json").read_bytes())
            self.name, self.job = members.get("name"), members.get("job")
            self._is_recovered = True

    def prepare(self, run: str) -> None:
        """Write the name of the job, unless an earlier server has.

        :param str run: the name of the run among those of all servers

        :raises OSError: it cannot be written
        """
        self.load()
        if self.name is None:
            name = f"{PREFIX}{run}-{token_hex(4)}"
            self._write(name, None)
            self.name = name

    def submit(self, components: Sequence[Sequence[str]], upload: Sequence[str], python: str) -> None:
        """Submit the job, unless it was submitted before.

        :param components: of the job, each by its options of `sbatch`, without those that all runs have
        :param upload: the paths of files to copy into the directory of the run
        :param str python: the interpreter on the machines

        :raises TryAgainError: Slurm cannot be reached; it may be submitted or not
        """
        assert self.name
        if self._is_recovered or self.problem:
            # An earlier attempt may have been successful.
            self.job = self.job or find_job(list_jobs(), self.name)
        if self.job is None and not self.is_cancelled:
            try:
                copy_upload(self.directory, upload)
                common = [f"--job-name={self.name}", *common_options(self.directory)]
                options = [option for each in components for option in (":", *common, *each)][1:]
                self.job = submit(options, self._script(python))
            except TryAgainError:
                raise
            except (SlurmError, OSError) as error:
                self.refusal = f"Slurm does not accept the run: {error}"
                return
        self.problem = None
        if self.job:
            # The directory may have been removed with its run.
            with contextlib.suppress(OSError):
                self._write(self.name, self.job)

    def _script(self, python: str) -> str:
        command = [python, "-P", "-X", "utf8", "-m", _MODULE, str(self.directory.path.absolute())]
        return f"#!/bin/sh\nexec {shlex.join(command)}\n"

    def _write(self, name: str, job: str | None) -> None:
        draft = self.directory.path / "submission.new"
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({"name": name, "job": job}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.directory.path / "submission.json")


def find_job(jobs: Mapping[str, JobStatus], name: str) -> str | None:
    """Return the number of the job of a name; None: there is none."""
    return next((job.id for job in jobs.values() if job.name == name), None)


def common_options(directory: RunDirectory) -> list[str]:
    """Return the options of `sbatch` that the jobs of all runs have."""
    output = str(directory.supervisor_log.absolute()).replace("%", "%%")
    return ["--export=NONE", "--no-requeue", "--chdir=/", "--open-mode=append", f"--output={output}"]
