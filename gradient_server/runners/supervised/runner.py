"""The base of runners whose runs have a supervisor: options, admission, the scheduler and recovery."""

from __future__ import annotations

import argparse
import contextlib
import hmac
import logging
import math
import os
import reprlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from gradient_server.clock import Clock
from gradient_server.runners.base import (
    NODE_FILES,
    ArgumentGroup,
    Runner,
    RunRecord,
    RunRejectedError,
    RunSpec,
    StoredFiles,
    jobs_of,
)
from gradient_server.runners.machine_types import Capacity, MachineType, Request, parse_machine_types
from gradient_server.runners.supervised.admission import check_node_count, check_request
from gradient_server.runners.supervised.artifact_files import artifact_folders
from gradient_server.runners.supervised.environment import (
    Node,
    check_passed_name,
    command_variables,
    ignored_parameters,
    nodes_of,
    withheld_variables,
)
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.processes import available_processors
from gradient_server.runners.supervised.run import SupervisedRun
from gradient_server.runners.supervised.run_files import LaunchSpec, RunDirectory, RunsDirectory
from gradient_server.runners.supervised.scheduler import Scheduler

_log = logging.getLogger(__name__)
_MAX_LISTED = 10
"""Names of variables in a line of the log."""
GRACE = 5.0
"""The default of the grace period, in seconds."""


class SupervisedRunner(Runner):
    """Runs that a supervisor executes, each in a directory of its own that this server follows.

    :param Path directory: where the directories of all runs are; no other server and no other user may use it
    :param Capacity capacity: what there is for all runs together; others wait in the order in which they were started
    :param bool keep: whether runs outlive the server, so that a later one can take them over; otherwise they are
        stopped and removed when the server ends
    :param float grace: seconds that commands have to end after SIGTERM
    :param pass_env: names of further variables of the environment that commands see; `*` stands for any characters
    :param machine_types: what machine types mean, by name; None: they mean nothing
    :param str nodes_url: the address of this server for the machines of a cluster, which fetch uploaded workspaces
        from it; None: they see its files
    """

    has_shared_files: ClassVar[bool] = True
    """Whether the machines of its runs see the files of the server."""

    def __init__(
        self,
        directory: Path,
        capacity: Capacity,
        *,
        keep: bool = True,
        grace: float = GRACE,
        pass_env: Sequence[str] = (),
        machine_types: Mapping[str, MachineType] | None = None,
        nodes_url: str | None = None,
    ) -> None:
        self._nodes_url = nodes_url
        self._files_for_nodes: dict[str, str] = {}
        """The paths of parts of uploaded workspaces, by token."""
        self._directory = RunsDirectory(directory)
        self._pass_env = tuple(map(check_passed_name, pass_env))
        self._has_told_variables = False
        self._grace = grace
        self._keep = keep
        self._types = machine_types
        self._scheduler = Scheduler(self._directory, capacity, self._monitor)
        self._stack = contextlib.ExitStack()
        self._clock: Clock | None = None
        self._record: Callable[[str, RunRecord], object] = lambda handle, record: None

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--grace`, `--pass-env` and `--machine-types`."""
        text = f"seconds that a command has to end when it is stopped, before it is killed (default: {GRACE})"
        parser.add_argument("--grace", metavar="SECONDS", type=_seconds, help=text)
        text = "variable that commands are to get from the server, such as WANDB_API_KEY or 'AWS_*'; can be given again"
        parser.add_argument("--pass-env", metavar="NAME", type=_passed_name, action="append", help=text)
        text = "TOML file of what machine types mean: a table for each, with gpus, cpus, memory and slots"
        parser.add_argument("--machine-types", metavar="FILE", type=_machine_types, help=text)

    @abstractmethod
    def _monitor(self, directory: RunDirectory, jobs: int = 0, spec: LaunchSpec | None = None) -> RunMonitor:
        """Return the monitor of a run.

        :param RunDirectory directory: of the run
        :param int jobs: the number of its nodes; 0: it has no experiment any more, and is only stopped
        :param LaunchSpec spec: what to run; None: it has no experiment
        """

    @abstractmethod
    def _machines(
        self, nodes: Sequence[Node], body: Mapping[str, Any], *, is_new: bool
    ) -> tuple[Request, tuple[Mapping[str, str], ...]]:
        """Return what an experiment needs of the capacity, and variables of each node about its machine type, or none.

        :param nodes: its nodes
        :param body: the request that created it
        :param bool is_new: whether no earlier server has admitted it

        :raises RunRejectedError: it can never have what it needs
        """

    def _asks_for(self, nodes: Sequence[Node], body: Mapping[str, Any]) -> str | None:
        """Return which machines an experiment asks a cluster for that does not keep its waiting runs in order."""
        return None

    def _place(self, nodes: Sequence[Node]) -> str:
        """Return how an experiment runs, in words."""
        return "as a process of the server's machine" if len(nodes) == 1 else "as processes of the server's machine"

    def _used_parameters(self) -> Collection[str]:
        """Return the parameters of nodes that are used here, besides the command; without prefixes of nodes."""
        return () if self._types is None else ("machineType",)

    def _variables(self) -> dict[str, str]:
        """Return the variables of the server that commands see."""
        return command_variables(os.environ, self._pass_env)

    def record_to(self, record: Callable[[str, RunRecord], object]) -> None:
        """Connect it to a store."""
        self._record = record

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        if clock.scale != 1:
            raise ValueError("Commands run in real time: the time scale must be 1 for them")
        clock.fix()
        self._clock = clock
        self._scheduler.on_change = on_change
        self._stack.enter_context(self._directory.in_use())

    def admit(self, spec: RunSpec) -> SupervisedRun:
        """Accept an experiment. What is left of its run is taken over.

        :raises RunRejectedError: it cannot be run as requested
        """
        assert self._clock is not None
        recorded = spec.recorded
        if not (recorded and recorded.has_ended):
            check_node_count(spec.body)
        jobs = jobs_of(spec.handle, spec.body)
        nodes = nodes_of([job.name for job in jobs], spec.body)
        directory = self._directory.run(spec.handle)
        variables = self._variables()
        # What ran on an earlier server, with other limits perhaps, stays as it is.
        is_new = spec.started is None and spec.stopped is None
        if is_new:
            self._tell_withheld_variables()
            check_request(nodes, handle=spec.handle, body=spec.body, server=variables, storage=directory.storage)
        problem, request = None, Request()
        machines: tuple[Mapping[str, str], ...] = ()
        try:
            request, machines = self._machines(nodes, spec.body, is_new=is_new)
        except RunRejectedError as error:
            if is_new:
                raise
            # An earlier server has started it, with other machine types; it may run.
            problem = f"It cannot be run any more: {error}"
        launch_spec = LaunchSpec(
            handle=spec.handle,
            body=spec.body,
            nodes=nodes,
            grace=self._grace,
            variables=variables,
            upload=self._shared(spec.upload, is_new=is_new),
            machines=machines,
        )
        monitor = self._monitor(directory, len(jobs), launch_spec)
        scheduler = self._scheduler
        run = SupervisedRun(
            spec.handle,
            jobs,
            monitor,
            self._clock,
            scheduler.lock,
            scheduler.schedule,
            recorded=recorded,
            record=self._record,
        )
        run.request, run.problem, run.asks_for = request, problem, self._asks_for(nodes, spec.body)
        run.ignored = ignored_parameters(nodes, spec.body, self._place(nodes), used=self._used_parameters())
        run.artifact_folders = artifact_folders(directory.storage, directory.workspace, spec.body)
        if spec.started is not None:
            scheduler.recover(run, spec.started, spec.stopped)
        elif spec.stopped is not None:
            run.stop(spec.stopped)
        return run

    def _shared(self, upload: Sequence[str] | None, *, is_new: bool) -> Sequence[str] | None:
        """Return the paths or URLs by which the machines of a run get an uploaded workspace.

        :raises RunRejectedError: they cannot get it, and no earlier server has admitted the run
        """
        if upload is None or self.has_shared_files:
            return upload
        if self._nodes_url is None:
            if is_new:
                text = (
                    "The machines of the cluster fetch an uploaded workspace from the server, which does not know its "
                    "own address for them: start it with --nodes-url URL, or give the URL of a git repository."
                )
                raise RunRejectedError(text, "workspaceUrl")
            return ()
        key = self._directory.secret.encode()
        tokens = {hmac.digest(key, os.path.basename(path).encode(), "sha256").hex(): path for path in upload}
        self._files_for_nodes |= tokens
        base = self._nodes_url.rstrip("/") + NODE_FILES
        return [f"{base}{token}/{os.path.basename(path)}" for token, path in tokens.items()]

    @property
    def host_names(self) -> Sequence[str]:
        """The host of the address for the machines of a cluster."""
        host = urlsplit(self._nodes_url or "").hostname
        return (host,) if host else ()

    def file_for_nodes(self, token: str) -> Path | None:
        """Return a part of an uploaded workspace."""
        path = self._files_for_nodes.get(token)
        return Path(path) if path else None

    def other_files(self) -> Sequence[StoredFiles]:
        """Return the directories of runs that are being removed, could not be removed, or have no experiment."""
        return self._directory.other_files()

    def recover(self) -> None:
        """Start what is in the queue. Runs without an experiment are stopped, and their files are kept."""
        self._scheduler.start()

    def close(self) -> None:
        """End it. Where runs are kept, those that have a supervisor go on; otherwise nothing is left."""
        self._scheduler.close(keep=self._keep)
        self._stack.close()

    def _tell_withheld_variables(self) -> None:
        """Log, once, what commands do not see and may miss."""
        if self._has_told_variables:
            return
        self._has_told_variables = True
        if names := withheld_variables(os.environ, self._pass_env):
            more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            shown = ", ".join(names[:_MAX_LISTED])
            _log.info(
                "Commands do not get these variables of the server; --pass-env NAME passes one: %s%s", shown, more
            )


class QueueingRunner(SupervisedRunner):
    """Runs of which so many go on at once; the others wait in a queue of this server."""

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--slots`."""
        default = f"one for each processor, {available_processors()}; with ray 8"
        text = f"how many experiments run at once, the others wait (default: {default})"
        parser.add_argument("--slots", metavar="NUMBER", type=_slots, help=text)


def _slots(text: str) -> int:
    """Return how many experiments may run at once.

    :raises argparse.ArgumentTypeError: the text is no such number
    """
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:6]) <= 1000:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of experiments; give one from 1 to 1000")
    return int(text)


def _machine_types(path: str) -> dict[str, MachineType]:
    try:
        return parse_machine_types(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from None


def _passed_name(text: str) -> str:
    try:
        return check_passed_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    """Return some seconds, from 0 to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of seconds; give one from 0 to 3600")
    return seconds
