"""The commands of Slurm, as this server calls them. Each waits for the controller, so none is for the scheduler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from gradient_server.runners.slurm.inventory import MACHINE_FORMAT, MachineGroup, parse_inventory
from gradient_server.runners.slurm.job_states import JOB_FORMAT, JobStatus, parse_jobs

_NEEDED = ("sbatch", "squeue", "scancel", "sinfo")
"""The commands without which nothing works."""
_TIMEOUT = 60.0
"""Seconds after which a command has no answer; they give up by themselves before."""
_FILTERS = ("SQUEUE_", "SINFO_", "SCANCEL_", "SLURM_JOB", "SLURM_STEP", "SLURM_CLUSTERS")
"""Variables by which users change what the commands print or act on."""
_UNREACHABLE = re.compile(
    "unable to contact slurm controller|could not establish a configuration source|standby mode|socket timed out"
    "|zero bytes were transmitted|communication connection failure|transport endpoint is not connected"
    "|connection (refused|timed out|reset)|no route to host|network is unreachable|unable to establish|munge"
    "|protocol authentication error|resource temporarily unavailable|temporarily unable|maxsubmitjob",
    re.IGNORECASE,
)
"""The words of a command if the controller cannot be reached, or accepts no more jobs at the moment."""
_UNKNOWN = re.compile("invalid job id|already compl|already finish|not running|not active", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:sbatch|squeue|scancel|sinfo|scontrol|sacct|srun): (?:error: |fatal: )?(.*)$")
_SUBMISSION = "Batch job submission failed: "


class SlurmError(Exception):
    """Slurm has refused something. The text has its own words."""


class TryAgainError(SlurmError):
    """Slurm cannot be reached, or does not accept that now; nobody knows whether it was done."""


def slurm_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for the commands: those of the server that change no output."""
    return {name: value for name, value in environment.items() if not name.startswith(_FILTERS)}


def missing_command() -> str | None:
    """Return the name of a command that is needed and not there; None: all are."""
    return next((name for name in _NEEDED if not shutil.which(name)), None)


def submit(options: Sequence[str], script: str) -> str:
    """Submit a batch job, and return its number.

    :param options: of `sbatch`, for each component of the job; `:` is between them
    :param str script: what it runs

    :raises SlurmError: it is refused
    """
    output = _call("sbatch", "--parsable", *options, text=script)
    return output.strip().partition(";")[0]


def list_jobs() -> dict[str, JobStatus]:
    """Return all jobs of this user that Slurm still knows, by number.

    :raises SlurmError: that is impossible
    """
    return parse_jobs(
        _call("squeue", "--noheader", "--all", "--states=all", f"--user={os.getuid()}", f"--format={JOB_FORMAT}")
    )


def find_ended(job: str) -> JobStatus | None:
    """Return how a job ended that has left the queue, if the cluster keeps accounts; None: nobody knows."""
    try:
        output = _call(
            "sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State,NodeList"
        )
    except SlurmError:
        return None
    state, _, machines = (output.splitlines() or [""])[0].partition("|")
    state = state.split(" ")[0].rstrip("+")  # CANCELLED by 1000
    return JobStatus(id=job, state=state, machines=machines) if state else None


def list_lost(machines: str) -> list[str]:
    """Return those of some machines that are down.

    :raises SlurmError: that is impossible
    """
    found = _call(
        "sinfo", "--noheader", "--Node", f"--nodes={machines}", "--states=down,fail,no_respond", "--format=%N"
    )
    return [*dict.fromkeys(found.split())]


def cancel(job: str, *options: str) -> None:
    """Cancel a job, or signal it by options of `scancel`. Do nothing if it has ended.

    :raises SlurmError: that is refused
    """
    try:
        _call("scancel", *options, job)
    except TryAgainError:
        raise
    except SlurmError as error:
        if not _UNKNOWN.search(str(error)):
            raise


def list_machines() -> list[MachineGroup]:
    """Return all machines of the cluster, in groups.

    :raises SlurmError: that is impossible
    """
    return parse_inventory(_call("sinfo", "--noheader", "--exact", f"--format={MACHINE_FORMAT}"))


def error_of(stderr: str) -> str:
    """Return what a command says is wrong, in one line."""
    lines = [found[1] if (found := _PREFIX.match(line)) else line for line in stderr.strip().splitlines()]
    texts = dict.fromkeys(line.removeprefix(_SUBMISSION).strip() for line in lines)
    return "; ".join(text for text in texts if text)


def _call(command: str, *arguments: str, text: str = "") -> str:
    try:
        done = subprocess.run(
            [command, *arguments],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
            cwd="/",
            env=slurm_environment(os.environ),
            start_new_session=True,  # Ctrl-C in the terminal of the server is not for it
        )
    except subprocess.TimeoutExpired:
        raise TryAgainError(f"{command} has not answered within {_TIMEOUT:.0f} seconds") from None
    except OSError as error:
        raise TryAgainError(f"{command} cannot be started: {error.strerror}") from None
    if done.returncode == 0:
        return done.stdout
    said = error_of(done.stderr) or f"{command} ended with exit code {done.returncode}"
    raise TryAgainError(said) if _UNREACHABLE.search(said) else SlurmError(said)
