"""Commands of Slurm for tests: jobs are processes of this machine, and their states are files in a folder.

`LocalSlurm` installs them. This file is also the program that each of them runs, so it imports nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "sacct", "srun")
MACHINES = """\
main*|2|4|8000|1-00:00:00|gpu:k80:2|P100
main*|1|2|2000|1-00:00:00|(null)|(null)
short|1|2|2000|10:00|(null)|old
"""
"""What `sinfo` prints."""
UNREACHABLE = "Unable to contact slurm controller (connect failure)"
_ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED")
_POLL = 0.01


class LocalSlurm:
    """Slurm on this machine.

    :param Path folder: for its files; when it is removed, everything ends
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        (folder / "jobs").mkdir()
        self.set()
        for name in COMMANDS:
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {folder} {name} "$@"\n')
            (self.bin / name).chmod(0o755)

    def set(self, **behaviour: object) -> None:
        """Change how it behaves.

        :param bool is_unreachable: whether its commands say that
        :param str refuses: what `sbatch` says instead of accepting a job
        :param bool dies: whether `sbatch` accepts jobs, and says that the controller cannot be reached
        :param str holds: why jobs wait, for as long as this is set
        :param bool hides: whether `squeue` lists no jobs at all
        :param bool forgets: whether `squeue` lists no jobs that have ended
        :param bool accounts: whether `sacct` knows them
        """
        write(self.folder / "behaviour.json", behaviour)

    @property
    def jobs(self) -> list[dict]:
        """All jobs, in the order of their numbers."""
        return [read(path) for path in sorted((self.folder / "jobs").glob("*.json"), key=lambda path: int(path.stem))]

    @property
    def calls(self) -> list[str]:
        """The calls of its commands, but for those that only ask."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def end(self, job: dict, state: str) -> None:
        """End a job as Slurm does when a machine is lost or a limit is reached: kill all of it."""
        update(self.folder, job["id"], ending=state)

    def reach_time_limit(self, job: dict) -> None:
        """Send SIGTERM to all processes of a job, as Slurm does at its time limit."""
        update(self.folder, job["id"], ending="TIMEOUT", signal=signal.SIGTERM)

    def forget(self) -> None:
        """Remove all jobs that have ended."""
        for job in self.jobs:
            if job["state"] in _ENDED:
                (self.folder / "jobs" / f"{job['id']}.json").unlink()


def write(path: Path, content: object) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@contextlib.contextmanager
def locked(folder: Path):
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def update(folder: Path, number: str, **changes: object) -> dict:
    path = folder / "jobs" / f"{number}.json"
    with locked(folder):
        job = {**read(path), **changes}
        write(path, job)
    return job


def fail(command: str, text: str) -> None:
    sys.exit(f"{command}: error: {text}")


def sbatch(folder: Path, behaviour: dict, arguments: list[str]) -> None:
    if refusal := behaviour.get("refuses"):
        fail("sbatch", f"Batch job submission failed: {refusal}")
    script, components = sys.stdin.read(), [[]]
    for argument in arguments:
        if argument == ":":
            components.append([])
        else:
            components[-1].append(argument)
    components = [split(component)[0] for component in components]
    options = components[0]
    with locked(folder):
        numbers = [int(path.stem) for path in (folder / "jobs").glob("*.json")]
        number = str(max(numbers, default=0) + 1)
        job = {"id": number, "state": "PENDING", "name": options["job-name"], "options": options, "script": script}
        job["components"] = components
        write(folder / "jobs" / f"{number}.json", {**job, "machines": ""})
    subprocess.Popen(
        [sys.executable, "-IS", __file__, str(folder), "run", number],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if behaviour.get("dies"):
        fail("sbatch", "Batch job submission failed: Socket timed out on send/recv operation")
    print(number)


def squeue(folder: Path, behaviour: dict, options: dict) -> None:
    for path in () if behaviour.get("hides") else (folder / "jobs").glob("*.json"):
        job = read(path)
        if behaviour.get("forgets") and job["state"] in _ENDED:
            continue
        reason = behaviour.get("holds") or "None"
        values = {"%i": job["id"], "%T": job["state"], "%r": reason, "%Q": str(1000 - int(job["id"]))}
        values |= {"%l": "1:00:00", "%N": job["machines"], "%j": job["name"]}
        print("|".join(values[field] for field in options["format"].split("|")))


def scancel(folder: Path, options: dict) -> None:
    path = folder / "jobs" / f"{options['']}.json"
    job = read(path) if path.exists() else {"state": "GONE"}
    if job["state"] not in ("PENDING", "RUNNING"):
        fail("scancel", f"Kill job error on job id {options['']}: Invalid job id specified")
    if "signal" in options:
        if job["state"] == "RUNNING":
            os.kill(job["pid"], signal.Signals[f"SIG{options['signal']}"])
        return
    update(folder, job["id"], ending="CANCELLED", signal=signal.SIGTERM)


def sacct(folder: Path, behaviour: dict, options: dict) -> None:
    if not behaviour.get("accounts"):
        fail("sacct", "Slurm accounting storage is disabled")
    job = read(folder / "jobs" / f"{options['jobs']}.json")
    print(f"{job['state']}|{job['machines']}")


def srun(folder: Path, arguments: list[str]) -> None:
    """Run a command as often as there are tasks, each with the same standard input."""
    options, command = split(arguments)
    count, text = int(options["ntasks"]), sys.stdin.buffer.read()
    tasks = []
    for index in range(count):
        environment = {**os.environ, "SLURM_PROCID": str(index)}
        tasks.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=environment))
    signal.signal(signal.SIGTERM, lambda number, frame: [task.terminate() for task in tasks])
    for task in tasks:
        with contextlib.suppress(BrokenPipeError), task.stdin:
            task.stdin.write(text)
    codes = [task.wait() for task in tasks]
    sys.exit(max(codes, key=abs))


def run(folder: Path, number: str) -> None:
    """Run a job, as slurmd does."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # it adopts the orphans of the job
    path = folder / "jobs" / f"{number}.json"
    while path.exists() and read(folder / "behaviour.json").get("holds"):
        if "ending" in read(path):
            update(folder, number, state=read(path)["ending"])
            return
        time.sleep(_POLL)
    if not path.exists():
        return
    job = read(path)
    try:
        output = Path(job["options"]["output"].replace("%%", "%")).open("ab")  # noqa: SIM115 - until this process ends
    except OSError:
        update(folder, number, state="FAILED", machines="m1")
        return
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "SLURM_JOB_ID": number}
    environment |= {"SLURMD_NODENAME": "m1", "CUDA_VISIBLE_DEVICES": "7"}
    components = job["components"]
    for index, component in enumerate(components):
        group = f"_HET_GROUP_{index}" if len(components) > 1 else ""
        environment |= {f"SLURM_JOB_NODELIST{group}": "m1", f"SLURM_NTASKS{group}": component["ntasks"]}
    if len(components) > 1:
        environment["SLURM_HET_SIZE"] = str(len(components))
    with subprocess.Popen(
        ["/bin/sh", "-s"], stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True
    ) as process:
        update(folder, number, state="RUNNING", machines="m1", pid=process.pid)
        process.stdin.write(job["script"].encode())
        process.stdin.close()
        is_ending = False
        while process.poll() is None:
            if not path.exists():
                kill_all(signal.SIGKILL)
                continue
            job = read(path)
            if "ending" in job and not is_ending:
                is_ending = True
                if job.get("signal"):
                    due = {"TIMEOUT": " DUE TO TIME LIMIT"}.get(job["ending"], "")
                    output.write(f"slurmstepd-m1: error: *** JOB {number} ON m1 CANCELLED AT now{due} ***\n".encode())
                    output.flush()
                kill_all(job.get("signal", signal.SIGKILL))
            time.sleep(_POLL)
    kill_all(signal.SIGKILL)
    state = job.get("ending") or ("FAILED" if process.returncode else "COMPLETED")
    if path.exists():
        update(folder, number, state=state)


def kill_all(number: int) -> None:
    """Signal all processes below this one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    for pid in sorted(below - {os.getpid()}, reverse=True):
        with contextlib.suppress(OSError):
            os.kill(pid, number)
        if number == signal.SIGTERM:
            time.sleep(2 * _POLL)  # machines are signalled one after the other


def split(arguments: list[str]) -> tuple[dict, list[str]]:
    """Return options, and what follows them; the last argument is also an option without a name."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        name, _, value = rest.pop(0)[2:].partition("=")
        options[name] = value
    return {**options, "": rest[-1] if rest else ""}, rest


def main(folder: Path, command: str, arguments: list[str]) -> None:
    if command == "run":
        run(folder, arguments[0])
        return
    if command == "srun":
        srun(folder, arguments)
        return
    behaviour = read(folder / "behaviour.json")
    if behaviour.get("is_unreachable"):
        fail(command, UNREACHABLE)
    options, _ = split(arguments)
    if command in ("sbatch", "scancel"):
        with (folder / "calls").open("a") as calls:
            calls.write(f"{command} {' '.join(arguments)}\n")
    if command == "sbatch":
        sbatch(folder, behaviour, arguments)
    elif command == "squeue":
        squeue(folder, behaviour, options)
    elif command == "scancel":
        scancel(folder, options)
    elif command == "sacct":
        sacct(folder, behaviour, options)
    else:
        sys.stdout.write("m1\n" if "nodes" in options else MACHINES)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
