"""The files of runs: where they are, who uses them, what is to be run, and what has happened.

A supervisor writes the files of its run, and servers read them. They are all that a later server needs to take it over.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import math
import os
import stat
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from attrs import asdict, define, field, frozen
from gradient_api.constants import TERMINAL_STATES

from gradient_server.private_files import make_private_folder, read_private, write_if_missing
from gradient_server.runners.base import Removal, StoredFiles
from gradient_server.runners.machine_types import Claim
from gradient_server.runners.supervised.deletion import Leftover, disk_usage, remove_tree
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.log_file import open_file
from gradient_server.runners.supervised.processes import ProcessId

FILES_REMOVED = "The files of the run have been removed: its outcome is unknown, and it does not run again"
_log = logging.getLogger(__name__)
_DELETED = ".forgotten-"
_KEPT = "kept-"
_LOCK_INTERVAL = 0.01
_MAX_ERROR_LENGTH = 4000
"""Characters of an error; of a longer one, the middle is left out."""
_APPEND = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Commands may have put links or pipes where files are written; neither is used, and nobody waits for a reader."""
_SHOWN = 500
"""Characters of a path in the log."""


@frozen(kw_only=True)
class LaunchSpec:
    """The run that a supervisor is started for.

    :param str handle: of the experiment
    :param body: the request that created it, by the names of the contract
    :param nodes: the processes to start
    :param float grace: seconds from SIGTERM to SIGKILL
    :param variables: those of the server that commands see
    :param upload: the paths of files that are its workspace, one after the other; None: nobody has uploaded it
    :param ProcessId server: ends the run if this process ends; None: the run outlives its server
    :param machines: variables of each node about its machine type; empty without machine types
    """

    handle: str
    body: Mapping[str, Any]
    nodes: tuple[Node, ...]
    grace: float
    variables: Mapping[str, str]
    upload: Sequence[str] | None = None
    server: ProcessId | None = None
    machines: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LaunchSpec:
        """Return a spec of which `asdict` was written as JSON."""
        data["nodes"] = tuple(Node(**node) for node in data["nodes"])
        data["server"] = ProcessId(*data["server"]) if data["server"] else None
        data["machines"] = tuple(data.get("machines", ()))
        return cls(**data)


class RunDirectory:
    """The directory of one run. Only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"
        self.storage = path / "storage"
        """Where commands keep data and models."""
        self.workspace = path / "workspace"
        """Where commands run."""
        self.host_file = path / "hostfile"
        """The nodes, for `mpirun`."""
        self.supervisor_log = path / "supervisor.log"
        """The errors of the supervisor itself."""
        self.removal = Removal()
        """How far its removal has come, once its run is deleted."""
        self._stop_request = path / "stop"
        self._jobs = path / "jobs"
        self._spec = path / "spec.json"

    @property
    def has_spec(self) -> bool:
        """Whether it was created for a run, and no supervisor has read the spec: nothing was executed."""
        return os.path.isfile(self._spec)

    @property
    def is_run(self) -> bool:
        """Whether it is the directory of a run, and not something else, such as a folder that only root may enter."""
        return os.path.isdir(self._jobs) and (os.path.isfile(self.events) or os.path.isfile(self._spec))

    @property
    def is_deleted(self) -> bool:
        """Whether its run was deleted, and it was renamed to be removed."""
        return self.path.name.startswith(_DELETED)

    @property
    def is_stop_requested(self) -> bool:
        """Whether the run is to be stopped."""
        return os.path.exists(self._stop_request)

    def log(self, index: int) -> Path:
        """Return the path of the log of a job."""
        return self._jobs / f"{index}.log"

    def pushed(self, index: int) -> Path:
        """Return the path of the metrics that a job has pushed."""
        return self._jobs / f"{index}.pushed"

    def create(self, spec: LaunchSpec) -> None:
        """Create it for a run. The spec may hold secrets."""
        self.create_empty()
        _create_folders(self._jobs, self.storage)
        draft = self.path / "spec.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(spec), file)
        draft.replace(self._spec)

    def request_stop(self) -> None:
        """Have a supervisor that is about to start find that the run is to be stopped.

        :raises OSError: the request cannot be written
        """
        os.close(os.open(self._stop_request, os.O_WRONLY | _APPEND, 0o600))

    def open_supervisor_log(self) -> int:
        """Open the file for the errors of a supervisor.

        :raises OSError: it cannot be written
        """
        return os.open(self.supervisor_log, os.O_WRONLY | _APPEND, 0o600)

    def restore_access(self) -> None:
        """Restore the rights of the owner of the files, which a command may have taken away."""
        for folder in (self.path.parent, self.path, self._jobs):
            _restore_rights(folder, 0o700, stat.S_ISDIR)
        with contextlib.suppress(OSError):
            for file in (self.events, self._spec, *self._jobs.iterdir()):
                _restore_rights(file, 0o600, stat.S_ISREG)

    def create_empty(self) -> None:
        """Create the directory and its parent, if they are missing."""
        _create_folders(self.path.parent, self.path)

    def take_spec(self) -> LaunchSpec:
        """Return the spec, and remove it from the disk."""
        data = json.loads(self._spec.read_bytes())
        self.remove_spec()
        return LaunchSpec.from_json(data)

    def claim(self) -> bool:
        """Whether this call is the first one to claim the run, of all machines that share the directory.

        A file is created: file systems of a network do that once, where not all have locks.
        """
        try:
            os.close(os.open(self.path / "claim", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return False
        return True

    def remove_spec(self) -> None:
        """Remove the spec, which nobody is going to read any more."""
        self._spec.unlink(missing_ok=True)

    def locked(self, timeout: float = 0.0) -> contextlib.AbstractContextManager[bool]:
        """Lock the run in a block, which receives whether that was possible within some seconds."""
        return _locked(self.path / "lock", timeout)


class _OutOfTime(Exception):
    """A removal takes longer than its server serves."""


class RunsDirectory:
    """The directory of all runs, one subdirectory for each handle. It may contain files of others.

    Deleted runs are renamed until they are removed, so that their handles can be used again. So are runs without an
    experiment, which are kept: if a store is lost, they are all that is left.
    """

    def __init__(self, path: Path) -> None:
        # Without links, which could lead elsewhere later.
        self.path = Path(os.path.realpath(path.parent), path.name)
        self.is_new = False
        """Whether this server has created it."""
        self.removal_deadline = math.inf
        """When a removal is given up, of `time.monotonic()`; the next server goes on with it."""
        self._leftovers: dict[str, str] = {}
        """Why directories of deleted runs are still there, by their names."""

    @contextlib.contextmanager
    def in_use(self) -> Generator[None, None, None]:
        """Reserve it for this server in the block, and create it if it is missing.

        :raises OSError: another server uses it, other users may, or it cannot be used; the error has its `filename`
        """
        self.is_new = not self.path.exists()
        make_private_folder(self.path)
        with _locked(self._lock) as is_locked:
            if not is_locked:
                raise OSError(errno.EBUSY, "is used by another server", str(self.path))
            yield

    @property
    def secret(self) -> str:
        """A random text that all servers find in this directory, which is in use; the first one writes it.

        :raises OSError: it cannot be written; the error has its `filename`
        """
        if not (found := read_private(self._secret)):
            write_if_missing(self._secret, token_hex())
            found = read_private(self._secret)
        return found or ""

    @property
    def store_id(self) -> str:
        """An id by which a cluster tells the runs of this directory from those of others; it reveals nothing."""
        return sha256(self.secret.encode()).hexdigest()[:8]

    def run(self, handle: str) -> RunDirectory:
        """Return the directory of a run."""
        return RunDirectory(self.path / handle)

    def unknown(self, known: Collection[str]) -> list[RunDirectory]:
        """Return the runs that have no known handle, and those that were being removed, but no files of others."""
        return [run for run in self._runs() if run.path.name not in known]

    def renamed(self, run: RunDirectory, *, keep: bool) -> RunDirectory:
        """Return the directory that a run is to be moved to, so that its handle can be used again."""
        name = run.path.name
        if name.startswith((_DELETED, _KEPT)):
            return run
        new = self.run(f"{_KEPT if keep else _DELETED}{name}-{token_hex(4)}")
        new.removal = run.removal
        return new

    def remove(self, run: RunDirectory) -> None:
        """Remove a run, and log what could not be removed. Of one that is kept, only the spec is removed."""
        if run.path.name.startswith(_KEPT):
            run.remove_spec()
            return

        def on_freed(count: int) -> None:
            run.removal.freed += count
            if time.monotonic() > self.removal_deadline:
                raise _OutOfTime

        try:
            on_freed(0)
            leftovers = remove_tree(run.path, on_freed)
        except _OutOfTime:
            return
        if leftovers:
            self._leftovers[run.path.name] = run.removal.reason = reason = _leftover_text(leftovers)
            _log.warning("Of %s, which was deleted, %s. The next server tries again", handle_of(run), reason)
        run.removal.is_done = True

    def other_files(self) -> list[StoredFiles]:
        """Return what is there beside the runs of experiments: runs that are kept, and those that are being removed."""
        found: list[StoredFiles] = []
        for run in self._runs():
            kind, reason = "kept", "it has no experiment any more"
            if run.is_deleted:
                reason = self._leftovers.get(run.path.name, "it was deleted")
                kind = "leftover" if run.path.name in self._leftovers else "removing"
            elif not run.path.name.startswith(_KEPT):
                continue
            found.append(StoredFiles(run.path.name, kind, reason, partial(disk_usage, run.path)))
        return found

    def remove_all(self) -> None:
        """Remove all runs that are not kept, and the directory too if this server created it."""
        for run in self._runs():
            self.remove(run)
        self._lock.unlink(missing_ok=True)
        self._secret.unlink(missing_ok=True)
        if self.is_new:
            with contextlib.suppress(OSError):  # it contains something else
                self.path.rmdir()

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def _secret(self) -> Path:
        return self.path / "secret"

    def _runs(self) -> Iterator[RunDirectory]:
        for path in sorted(self.path.iterdir()) if self.path.exists() else ():
            if path.is_symlink() or not os.path.isdir(path):
                continue
            # A run that was being removed may be incomplete.
            if path.name.startswith(_DELETED) or RunDirectory(path).is_run:
                yield RunDirectory(path)


@define
class History:
    """The events of a run up to now. Times are seconds since the epoch."""

    supervisor: ProcessId | None = None
    """The process that has claimed the run; None: nothing of it has run."""
    grace: float = 0.0
    """Seconds that its processes have to end after SIGTERM; none before they can be there."""
    groups: list[ProcessId] = field(factory=list[ProcessId])
    """The process groups of its nodes."""
    states: list[tuple[float, int]] = field(factory=list[tuple[float, int]])
    """The states that it has entered, with the times."""
    error: str | None = None
    failed: int = 0
    """The index of the node that the error is about; that of the first one if it is about the run."""
    rows: tuple[int, ...] = ()
    """The number of rows of each job, once it has ended."""
    exit_code: int | None = None
    """That of the command that decided how it has ended; -N: killed by the signal N."""
    claim: Claim | None = None
    """The resources of the machine that it has while it runs, which never change; None: a slot."""
    waits_for: str | None = None
    """Why it does not run yet, in words."""
    machines: tuple[str, ...] = ()
    """The names of the machines that the nodes run on; empty if that is the machine of the server."""

    @property
    def has_ended(self) -> bool:
        """Whether it has entered a terminal state."""
        return bool(self.states) and self.states[-1][1] in TERMINAL_STATES

    def describe_machines(self, nodes: Sequence[str]) -> str | None:
        """Return which nodes of these names run on which machines, in words; None: on that of the server."""
        if not self.machines:
            return None
        shown = [f"{node}: {machine}" for node, machine in zip(nodes, self.machines, strict=False)]
        return f"Machines: {'; '.join(shown)}." if len(nodes) > 1 else f"Machine: {self.machines[0]}."

    def add(self, event: dict[str, Any]) -> None:
        """Add an event: its time `real`, and a supervisor, a process group, a state, a claim, or how it has ended."""
        self.machines = tuple(event.get("machines", self.machines))
        self.waits_for = event.get("waits_for", self.waits_for)
        if "claim" in event:
            self.claim = Claim(**event["claim"])
        if "claimed" in event:
            self.supervisor = ProcessId(*event["claimed"])
        if "group" in event:
            self.groups.append(ProcessId(*event["group"]))
        self.grace = event.get("grace", self.grace)
        self.error = event.get("error", self.error)
        self.failed = event.get("failed", self.failed)
        self.rows = tuple(event.get("rows", self.rows))
        self.exit_code = event.get("exit_code", self.exit_code)
        if "state" in event:
            self.states.append((event["real"], event["state"]))


class EventReader:
    """Reads the events of a run while they are written: a file of JSON objects, one a line.

    An incomplete last line is read when it is complete. A line that is no event, as after a power failure, is ignored.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history = History()
        self.offset = 0

    def read(self) -> bool:
        """Read new events. Return whether there were any."""
        try:
            with os.fdopen(open_file(self.path), "rb") as file:
                file.seek(self.offset)
                complete = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return False
        for line in complete.splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                self.history.add(json.loads(line))
        self.offset += len(complete) + bool(complete)
        return bool(complete)


class EventWriter:
    """Appends events to the file of a run. An event is written completely, or not at all if the disk is full."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | _APPEND, 0o600)
        size = os.fstat(self._file).st_size
        # A writer that was killed may have left an incomplete event.
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            end = os.pread(self._file, size, 0).rfind(b"\n") + 1
            os.ftruncate(self._file, end)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def sync(self) -> None:
        """Return when what was written survives a power failure."""
        os.fsync(self._file)

    def write(self, **event: object) -> None:
        """Write an event, with the members that `History.add` reads.

        :raises OSError: the disk is full
        """
        if isinstance(event.get("error"), str):
            event["error"] = error_text(str(event["error"]))
        line = json.dumps({"real": round(time.time(), 6), **event}).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            # Otherwise the next event would be appended to the incomplete one, and neither could be read.
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def error_text(text: str) -> str:
    """Return an error as clients can receive it: of limited length, and with bytes escaped that are no UTF-8."""
    if len(text) > _MAX_ERROR_LENGTH:
        half = _MAX_ERROR_LENGTH // 2
        text = f"{text[:half]} ... {text[-half:]}"
    try:
        # Python has decoded names of files and messages of the system with this error handler.
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        data = text.encode(errors="backslashreplace")
    return data.decode(errors="backslashreplace")


def handle_of(run: RunDirectory) -> str:
    """Return the handle that a run had before its directory was renamed."""
    name = run.path.name
    return name.removeprefix(_DELETED).rpartition("-")[0] if run.is_deleted else name


def _leftover_text(leftovers: Sequence[Leftover]) -> str:
    """Return what could not be removed, and why; of many files, the first ones are named."""
    shown = "; ".join(f"{path[-_SHOWN:]!r}: {reason}" for path, reason in leftovers[:3])
    count = "1 file or folder is" if len(leftovers) == 1 else f"{len(leftovers)} files or folders are"
    return error_text(f"{count} left ({shown}{'; ...' if len(leftovers) > 3 else ''})")


def _restore_rights(path: Path, rights: int, is_expected: Callable[[int], bool]) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if is_expected(mode) and mode & rights != rights:
            path.chmod(stat.S_IMODE(mode) | rights)


def _create_folders(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def _locked(path: Path, timeout: float = 0.0) -> Generator[bool, None, None]:
    """Lock a file in the block. A process that is killed releases the lock."""
    deadline = time.monotonic() + timeout
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while not (is_locked := _try_lock(file)) and time.monotonic() < deadline:
            time.sleep(_LOCK_INTERVAL)
        yield is_locked
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
