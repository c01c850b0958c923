"""The interface between the server and what runs experiments, and the registry of its implementations.

The server stores what was requested and decides what is allowed. A runner executes or simulates it. Everything that
the server reports about a run, it reads from the run when a client asks. All timestamps are seconds on the server's
clock.

Several threads may call any method. No method may block for long: the server answers nobody in the meantime.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import pkgutil
import re
import secrets
from abc import ABC, abstractmethod
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import attrs
from attrs import converters, define, frozen
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock

ArgumentGroup = argparse._ArgumentGroup  # pyright: ignore[reportPrivateUsage] # it has no public name
Transitions = Sequence[tuple[float, int]]
"""The states that a run enters, each with its timestamp, in order. Empty while the experiment is only created."""
NODE_FILES = "/node-files/"
"""The path on the server below which the nodes of a cluster fetch files, each by a token that is a secret."""
BLOCK = 512
"""Bytes of a block, as the system counts those of a file."""


@frozen(kw_only=True)
class Job:
    """One node of a run.

    :param str id: its id, which stays the same when the experiment is admitted again
    :param str name: its name for people, such as `worker 0`
    """

    id: str
    name: str


class LogRow(NamedTuple):
    """One log row of a job. A tuple, because there are many."""

    line: int
    """Counts from 1, without gaps, for each job."""
    timestamp: float
    message: str


class LogColumns(NamedTuple):
    """Rows of a job that follow each other, in columns: reading very many is faster than as `LogRow`."""

    line: int
    """The line before the first one."""
    timestamps: Sequence[float]
    messages: Sequence[str]

    @property
    def last(self) -> int:
        """The line of the last one."""
        return self.line + len(self.messages)


class PushedValue(NamedTuple):
    """One value of a metric that a command has pushed. A tuple, because there are many."""

    number: int
    """Counts from 1 for each job."""
    timestamp: float
    name: str
    step: float | None
    """The step that it belongs to; None: it has none."""
    value: float


class Artifact(NamedTuple):
    """A file that a run has written."""

    name: str
    """Relative, with `/`. Artifacts are ordered by the parts of their names."""
    size: int
    modified: float
    """When it was last written."""
    version: str
    """Another one whenever the file has changed."""


class ArtifactReader(ABC):
    """An open artifact."""

    @abstractmethod
    def artifact(self) -> Artifact:
        """Return what it is now; it may be written meanwhile."""

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Return bytes from an offset; fewer at its end."""

    def close(self) -> None:  # noqa: B027 - not every reader has something to close
        """Close it."""


def _transitions(found: Iterable[Sequence[Any]]) -> tuple[tuple[float, int], ...]:
    return tuple((timestamp, state) for timestamp, state in found)


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@frozen(kw_only=True)
class RunRecord:
    """The facts about a run that its runner keeps in the store, where they outlive the runner's own files.

    :param launched: whether its commands may have been executed, so that they must not be executed again; None: an
        earlier version, which did not record that, was asked to start it
    :param transitions: the states that it has entered
    :param error: what went wrong; what UTF-8 cannot encode, as in names of files, is escaped
    :param exit_code: of the command that decided how it ended; -N: killed by the signal N; None: none did
    :param rows: the number of rows that each job has printed, once it has ended
    :param int failed: the index of the job whose log ends with the error, if there is one
    """

    launched: bool | None = True
    transitions: tuple[tuple[float, int], ...] = attrs.field(default=(), converter=_transitions)
    error: str | None = attrs.field(default=None, converter=converters.optional(_encodable))
    rows: Sequence[int] = ()
    exit_code: int | None = None
    failed: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the run has entered a terminal state."""
        return bool(self.transitions) and self.transitions[-1][1] in TERMINAL_STATES


class DiskUsage(NamedTuple):
    """The space that files take on the disk, in bytes."""

    own: int = 0
    """The bytes that their removal frees."""
    shared: int = 0
    """Their part of files that have hard links elsewhere, too: of one with three links, a third for each."""


class StoredFiles(NamedTuple):
    """Files that belong to no experiment, or to several."""

    name: str
    """Of the folder."""
    kind: str
    """The kind of files, as in the contract: `removing`, `leftover`, `kept` or `uploads`."""
    reason: str | None
    """Why they are still there, in words."""
    usage: Callable[[], DiskUsage]
    """Measures them."""


@define
class Removal:
    """How far the removal of the files of a deleted run has come. It is updated while that goes on."""

    is_done: bool = False
    """Whether nothing more is removed until the server starts again."""
    freed: int = 0
    """The bytes that it has freed."""
    reason: str | None = None
    """The files that could not be removed and why, in words; None: nothing is left."""


@frozen(kw_only=True)
class RunSpec:
    """An experiment as the server knows it.

    :param str handle: its handle
    :param body: the request that created it, by the names of the contract, with defaults; commands are text
    :param float created: when it was created
    :param float started: when an earlier server was asked to start it; None: never
    :param float stopped: when an earlier server was asked to stop it; None: never
    :param upload: the paths of files that are its workspace, a zip or tar file, one after the other; None: nobody
        has uploaded it. The name of each is the SHA-256 of its content
    :param RunRecord recorded: what the store knows of its run; None: it was never started, or there is no store
    """

    handle: str
    body: Mapping[str, Any]
    created: float
    started: float | None = None
    stopped: float | None = None
    upload: Sequence[str] | None = None
    recorded: RunRecord | None = None


class RunRejectedError(ValueError):
    """The experiment cannot be run as requested. The client receives it as an error of a field.

    :param str text: what is wrong, and what would be right
    :param str member: the field of the request body that it is about
    """

    def __init__(self, text: str, member: str) -> None:
        super().__init__(text)
        self.member = member


class Run(ABC):
    """One experiment, as its runner knows it. Failures show in its transitions and `error`; nothing is raised."""

    jobs: tuple[Job, ...]
    """Its nodes. Rows with the same line number come in this order."""
    is_simulated = False
    """Whether no command is executed, so that clients have to be told."""

    @property
    def removal(self) -> Removal:
        """How far the removal of its files has come, once it is deleted; by default, it is over at once."""
        return Removal(is_done=True)

    @property
    def remark(self) -> str | None:
        """Which parameters of the experiment are not used, what it waits for or has, in words; None: nothing to say."""
        return None

    @property
    @abstractmethod
    def transitions(self) -> Transitions:
        """Every state that it has entered, and those that it is going to enter, as far as they are known.

        States come in the order that the contract documents. Some may be missing; a terminal state is the last one. A
        past transition never changes. A future one may change when the run is stopped, or when the runner reports a
        change.
        """

    @abstractmethod
    def error(self, now: float) -> str | None:
        """Return what went wrong, in words, or None if there is no more to say than that the command failed."""

    def exit_code(self, now: float) -> int | None:
        """Return the exit code of the command that decided how it has ended; -N: killed by the signal N.

        None if there is none, as for a run that was canceled, or if the runner does not know it.
        """
        return None

    def disk_usage(self) -> DiskUsage:
        """Return the space that its files take. The only method that may take long; none by default."""
        return DiskUsage()

    @abstractmethod
    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Return the rows after a line, of all jobs, ordered by line and then by job; at most `limit` of them.

        There may be fewer than `limit` if they are too long for memory; all rows of the last line are there then.

        The last row of each job has the message `END_OF_LOG`, and no other row has it. It appears when the whole run
        has ended, so that a client that has followed the log to its end finds the final state. The row before it, of
        the job that failed, says why the run failed. The jobs of a run that never ran may have no rows.
        """

    @abstractmethod
    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Return the rows of one job after a line, at most `limit`, or fewer if they are too long for memory."""

    def job_columns(self, job: Job, line: int, limit: int, now: float) -> LogColumns:
        """Return the rows that `job_rows` returns, in columns."""
        rows = self.job_rows(job, line, limit, now)
        return LogColumns(line, [row.timestamp for row in rows], [row.message for row in rows])

    @abstractmethod
    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Return the number of the last line of each job, in the order of `jobs`; 0 if it has no row yet.

        The server calls this often, also for logs with millions of rows. It must not read a whole log.
        """

    def pushed_counts(self) -> Mapping[Job, int]:
        """Return the number of the last value that each job has pushed; none if no job can push any."""
        return {}

    def pushed_values(self, job: Job, number: int, limit: int) -> list[PushedValue]:
        """Return the pushed values of one job after one, at most `limit`. New ones are reported as rows are."""
        return []

    @abstractmethod
    def next_row_at(self, line: int, now: float) -> float | None:
        """Return when the first row after a line appears.

        A past timestamp: it is there. A future one: not before, unless the runner reports a change; at that time it is
        there or the run has ended. Infinity: not before the runner reports a change. None: the run has ended and all
        of its rows are there.
        """

    def artifacts(self, after: str, limit: int, now: float) -> list[Artifact]:
        """Return the files that it has written, after a name, at most `limit`. None by default.

        The server calls this and `open_artifact` in a thread, so that they may take a while.
        """
        return []

    def open_artifact(self, name: str, now: float) -> ArtifactReader | None:
        """Open an artifact; None: there is none of that name."""
        return None

    @abstractmethod
    def start(self, timestamp: float) -> None:
        """Start it; it is pending from then on. Called once at most, after `recover` and never after `stop`."""

    @abstractmethod
    def stop(self, timestamp: float) -> None:
        """Cancel it: at once if it does not run yet, otherwise as soon as it is torn down.

        Does nothing if it has ended, is ending, or was stopped before. It may not have been started.
        """

    @abstractmethod
    def delete(self) -> None:
        """End it and remove what is kept of it, in the background.

        Called once at most, as the last call that changes anything; a reader may still ask, and gets some answer. The
        handle may be used for another experiment as soon as this returns.
        """


class Runner(ABC):
    """Runs the experiments of one server.

    A runner must survive a crash of its server. The server writes down each request before it tells a run, so it may
    know of a start, a stop or a deletion that the run was never told: `admit` repeats those.

    A subclass that sets `name` is registered: it can be chosen with `--runner NAME`.
    """

    name: ClassVar[str]
    """Its name on the command line and in the store. A runner does not take over the experiments of another one."""
    description: ClassVar[str]
    """How it runs experiments, in a few words, for `--help` and the first line that the server prints."""
    executes_commands: ClassVar[bool] = True
    """Whether clients choose what is executed. The server then wants a long API key and stays on the loopback."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            return
        other = _registered.setdefault(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{cls.name!r} is the name of {other.__qualname__}, too; a runner needs a name of its own")

    @classmethod  # noqa: B027 - most runners have no options
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add its own command-line options; none by default.

        Their default must be None, also for flags: the command line refuses an option of another runner that has any
        other value.
        """

    @classmethod
    def check_arguments(cls, options: argparse.Namespace) -> str | None:
        """Return what is wrong with its own options together, beginning with one of them, or None."""
        return None

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return a runner as the command line describes it. Must not create files: `attach` may.

        :param options: the parsed command line; `options.store` is the path of the store, or None for simulated runs
            that are kept in memory
        """
        return cls()

    def record_to(self, record: Callable[[str, RunRecord], object]) -> None:  # noqa: B027 - see its docstring
        """Connect it to a store. Called before `attach`, if the server has a store.

        A runner that executes commands records that it launches a run before it does so, and what happens to the run
        before clients see it. Does nothing by default: the runs of other runners follow from their requests.

        :param record: to be called, from any thread, with a handle and all that is known of its run. What it has
            written survives a power failure if the run is launched or has ended; it raises an OSError if it cannot
            write
        """

    @abstractmethod
    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server. Called once, before anything else.

        :param Clock clock: for all timestamps
        :param on_change: to be called, from any thread, with the handle of an experiment that has entered a state or
            has new rows, unless `transitions` or `next_row_at` had announced when

        :raises ValueError: it cannot run with such a clock
        :raises OSError: something that it needs cannot be used; the error has its `filename`
        """

    @abstractmethod
    def admit(self, spec: RunSpec) -> Run:
        """Accept an experiment. Nothing is started or kept yet, because the request may still fail.

        A server that starts again admits all experiments that it knows before it calls `recover`, the oldest first.
        What is left of each is taken over, and what was recorded of it stays so. One that was started and has left
        nothing is run from `recover` on, unless it was recorded as launched; one that was stopped is stopped, if it was
        not.

        :raises RunRejectedError: it cannot be run as requested
        """

    def other_files(self) -> Sequence[StoredFiles]:
        """Return the files that it keeps beside those of experiments; none by default."""
        return ()

    @property
    def host_names(self) -> Sequence[str]:
        """The names by which the machines of a cluster call the server; none by default."""
        return ()

    def file_for_nodes(self, token: str) -> Path | None:
        """Return the file that nodes fetch with a token; None: there is none. None by default."""
        return None

    @abstractmethod
    def recover(self) -> None:
        """Run what was admitted and started. Stop whatever else is left of earlier servers."""

    @abstractmethod
    def close(self) -> None:
        """End it. Runs that are to outlive the server go on, others are ended. Called once, also without `recover`."""


class RejectedRun(Run):
    """An experiment of an earlier server that its runner does not accept any more: it ends in an error if started.

    :param record: receives the error, so that no later server runs it after all
    """

    jobs: tuple[Job, ...] = ()

    def __init__(self, spec: RunSpec, reason: RunRejectedError, record: Callable[[RunRecord], object]) -> None:
        self._error = f"It cannot be run any more: {reason}"
        self._record = record
        self._transitions: Transitions = ()
        if spec.started is not None:
            self.start(spec.started)
        elif spec.stopped is not None:
            self.stop(spec.stopped)

    @property
    def transitions(self) -> Transitions:
        """Pending and error at once if it was started."""
        return self._transitions

    def error(self, now: float) -> str | None:
        """Return why it cannot be run, if it was started."""
        return self._error if state_at(self._transitions, now) == State.ERROR else None

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Return nothing: it never runs."""
        return []

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Return nothing."""
        return []

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Return nothing."""
        return {}

    def next_row_at(self, line: int, now: float) -> float | None:
        """Return None if it has ended."""
        return None if self._transitions else math.inf

    def start(self, timestamp: float) -> None:
        """End it with an error."""
        transitions = ((timestamp, State.PENDING), (timestamp, State.ERROR))
        with contextlib.suppress(OSError):
            self._record(RunRecord(transitions=transitions, error=self._error))
        self._transitions = transitions

    def stop(self, timestamp: float) -> None:
        """Cancel it if it was not started."""
        self._transitions = self._transitions or ((timestamp, State.CANCELLED),)

    def delete(self) -> None:
        """Do nothing."""


_registered: dict[str, type[Runner]] = {}


def runners() -> Mapping[str, type[Runner]]:
    """Return the runners of this package by name: each module or package in it may define one."""
    package = importlib.import_module(__name__.rpartition(".")[0])
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_registered.items()))


def new_handle(seed: int | None, number: int) -> str:
    """Return the handle of the experiment with a number; the seed determines it, and without one it is random."""
    return _id("es", secrets.token_hex() if seed is None else f"{seed} {number}")


def new_project_handle(source: str) -> str:
    """Return the handle of a project; the same source has the same one."""
    return _id("pr", f"project {source}", length=7)


def jobs_of(handle: str, body: Mapping[str, Any]) -> tuple[Job, ...]:
    """Return the jobs of an experiment: one for each node that it requests. Handle and node determine the ids."""
    return tuple(Job(id=_id("js", f"{handle} {key}"), name=name) for name, key in _nodes(body))


def state_at(transitions: Transitions, now: float) -> int:
    """Return the state at a time."""
    return next((state for timestamp, state in reversed(transitions) if timestamp <= now), State.CREATED)


def entries_until(transitions: Transitions, now: float) -> dict[int, float]:
    """Return the states entered up to a time, in order, each with its timestamp."""
    return {state: timestamp for timestamp, state in transitions if timestamp <= now}


def next_state_at(transitions: Transitions, now: float) -> float | None:
    """Return when the next state is entered; infinity if that is not known yet, None if the run has ended."""
    if state_at(transitions, now) in TERMINAL_STATES:
        return None
    return next((timestamp for timestamp, _ in transitions if timestamp > now), math.inf)


def _nodes(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name the nodes of an experiment: one for each that a `...Count` requests, or a single worker.

    Each has a name for people, which counts from 0 as `INDEX` does, and one that its id is made of. The latter is that
    of the first version, in which readers of stored logs know a job.
    """
    counts = {field.removesuffix("Count"): count for field, count in body.items() if field.endswith("Count")}
    for field, count in counts.items():
        name = re.sub(r"(?=[A-Z])", " ", field).lower()
        yield from ((f"{name} {index}", f"{name} {index + 1}") for index in range(count))
    if not counts:
        yield "worker 0", "worker"


def _id(prefix: str, source: str, *, length: int = 12) -> str:
    """Return an id in the format of the hosted service. The same source has the same id."""
    return prefix + b32encode(sha256(source.encode()).digest())[:length].decode().lower()
