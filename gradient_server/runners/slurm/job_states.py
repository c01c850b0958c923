"""Jobs in the words of Slurm: their states, why they wait, and how they ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

_FIELDS = ("%i", "%T", "%r", "%Q", "%l", "%N", "%j")
JOB_FORMAT = "|".join(_FIELDS)
"""The columns of `squeue`: number, state, reason, priority, time limit, machines, name."""
PENDING = "PENDING"
NODE_FAIL = "NODE_FAIL"
GONE = "GONE"
"""The state of a job that Slurm does not know any more."""
_ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", NODE_FAIL, "OUT_OF_MEMORY", "PREEMPTED"}
    | {"REVOKED", "SPECIAL_EXIT", "TIMEOUT", GONE}
)
_REASONS = {
    "Resources": "it is the next one that gets free machines",
    "Priority": "jobs before it have a higher priority",
    "Dependency": "it depends on another job",
    "ReqNodeNotAvail": "machines that it needs are down, drained or reserved",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "PartitionNodeLimit": "it asks for more machines than its partition allows",
    "PartitionTimeLimit": "its time limit is longer than its partition allows",
    "PartitionConfig": "its partition cannot run it",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held; scontrol release lets it go on",
    "BeginTime": "its time has not come",
    "Licenses": "it waits for a licence",
    "Reservation": "its reservation has not begun",
    "NodeDown": "a machine that it needs is down",
    "AssociationJobLimit": "the account runs as many jobs as it may",
    "InvalidAccount": "Slurm does not accept its account",
    "InvalidQOS": "Slurm does not accept its quality of service",
}
_LIMIT = re.compile(r"(QOS|Assoc)(?:Grp|Max)\w*")
_NOTICE = re.compile(
    r"\*\*\* (?:JOB|STEP) \S+ ON (\S+) (?:CANCELLED|FAILED) AT \S+(?: DUE TO ([A-Z ]+?))?(?:,.*)? \*\*\*"
)
"""The notice that Slurm writes to the output of a job that it ends."""
_CAUSES = {"TIME LIMIT": "TIMEOUT", "PREEMPTION": "PREEMPTED", "NODE FAILURE": NODE_FAIL}


@frozen(kw_only=True)
class JobStatus:
    """A job, as Slurm shows it.

    :param str id: its number; of a heterogeneous job, that of its first component
    :param str state: in Slurm's words
    :param str reason: why it waits, in Slurm's words
    :param int priority: the higher, the sooner it runs
    :param str time_limit: as Slurm writes it
    :param str machines: where it runs
    :param int place: its place among the waiting jobs of servers like this one, from 1; 0: it does not wait
    """

    id: str
    state: str
    name: str = ""
    reason: str = ""
    priority: int = 0
    time_limit: str = ""
    machines: str = ""
    place: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it runs, or is going to."""
        return self.state in _ENDED


def parse_jobs(text: str) -> dict[str, JobStatus]:
    """Return the jobs that `squeue -h -o JOB_FORMAT` has printed, by number."""
    found: dict[str, JobStatus] = {}
    for line in text.splitlines():
        columns = line.split("|", len(_FIELDS) - 1)
        if len(columns) < len(_FIELDS):
            continue
        number, state, reason, priority, limit, machines, name = columns
        job = number.partition("+")[0]
        status = JobStatus(
            id=job,
            state=state,
            reason=reason,
            priority=int(priority) if priority.isdecimal() else 0,
            time_limit=limit,
            machines=machines,
            name=name,
        )
        found[job] = _merged(found[job], status) if job in found else status
    return found


def with_queue_positions(jobs: Mapping[str, JobStatus], prefix: str) -> dict[str, JobStatus]:
    """Return jobs with the places of those that wait, among those whose names begin with a prefix."""
    waiting = [job for job in jobs.values() if job.state == PENDING and job.name.startswith(prefix)]
    waiting.sort(key=lambda job: (-job.priority, int(job.id) if job.id.isdecimal() else 0))
    return {**jobs, **{job.id: evolve(job, place=place) for place, job in enumerate(waiting, 1)}}


def waiting_text(job: JobStatus) -> str:
    """Return why a job waits."""
    reason = job.reason.strip("()").partition(",")[0].split(" ")[0]
    words = _REASONS.get(reason)
    if limit := _LIMIT.fullmatch(reason):
        words = f"a limit of the {'quality of service' if limit[1] == 'QOS' else 'account'} is reached"
    shown = f"{reason} ({words})" if words else job.reason.strip("()")
    why = f": {shown}" if shown not in ("", "None") else ""
    place = f"; it is number {job.place} of the experiments that wait" if job.place > 1 else ""
    return f"It waits in Slurm as job {job.id}{why}{place}."


def ending_text(job: JobStatus, log: str, *, was_started: bool) -> str:
    """Return what ended a job whose supervisor has not written an outcome, and what to do.

    :param str log: the last line that the supervisor, or Slurm, has written
    :param bool was_started: whether the supervisor has started
    """
    on = f" on {job.machines}" if job.machines not in ("", "(null)") else ""
    what = f"job {job.id}{on}"
    limit = f" of {job.time_limit}" if job.time_limit else ""
    texts = {
        "TIMEOUT": f"Slurm ended the {what} at its time limit{limit}: "
        "give the experiment more by SBATCH_TIMELIMIT, its machine type more by time, or all of them by --slurm-time",
        "OUT_OF_MEMORY": f"Slurm ended the {what} because it used more memory than it has: "
        "ask for more by the memory of its machine type, or by SBATCH_MEM_PER_NODE",
        NODE_FAIL: f"Slurm lost a machine of the {what}: it failed, or cannot be reached. Run the experiment again",
        "BOOT_FAIL": f"Slurm could not boot a machine for the {what}. Run the experiment again",
        "PREEMPTED": f"Slurm ended the {what} for one with a higher priority (preemption). Run the experiment again",
        "DEADLINE": f"Slurm ended the {what}, as it could not end before its deadline",
        "CANCELLED": f"The {what} was cancelled in Slurm, not by this server: scancel of a user or an administrator",
        GONE: f"Slurm does not know the {what} any more, and how it ended is unknown. It does not run again",
    }
    if text := texts.get(job.state):
        return text
    said = f": {log}" if log else ""
    if was_started:
        why = f"was killed or has crashed ({job.state}): how its commands went is unknown"
        return f"The supervisor of the {what} {why}{said}"
    why = said or ": nothing was written. Do the machines have the directory of the run, and --slurm-python?"
    return f"The supervisor of the {what} could not be started ({job.state}){why}"


def notice_state(lines: Iterable[str]) -> JobStatus | None:
    """Return how Slurm ends a job, by its notice in the output of the job; None: there is none."""
    found = [notice for line in lines if (notice := _NOTICE.search(line))]
    if not found:
        return None
    return JobStatus(id="", state=_CAUSES.get(found[-1][2] or "", "CANCELLED"), machines=found[-1][1])


def _merged(first: JobStatus, second: JobStatus) -> JobStatus:
    """Return the status of a heterogeneous job: it waits or has ended as soon as one of its components does."""
    worst = max((first, second), key=lambda job: (job.has_ended and job.state != "COMPLETED", job.state == PENDING))
    machines = ",".join(filter(None, (first.machines, second.machines)))
    if worst.state == "COMPLETED":
        worst = min((first, second), key=lambda job: job.has_ended)
    return evolve(worst, machines=machines, name=first.name)
