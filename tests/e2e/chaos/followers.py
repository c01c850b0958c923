"""Threads that share one client: each runs an experiment, follows it to its end, and runs the next one."""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import define, field, frozen
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient, LogRow

ROWS = 40
"""How many rows each command prints."""
_PAUSE = 0.015
Rows = dict[str, list[tuple[int, str]]]
"""By their jobs, the numbers and texts of rows, in the order in which they came."""


@frozen(kw_only=True)
class Kind:
    """What experiments are like.

    :param str end: what their command does when it has printed its rows
    :param int outcome: the state that this leads to
    :param int workers: how many nodes run it; more than one have a parameter server that prints nothing
    :param bool is_stopped: whether their caller stops them when they have printed their rows
    """

    end: str
    outcome: int
    workers: int = 1
    is_stopped: bool = False

    @property
    def nodes(self) -> int:
        """How many commands run."""
        return self.workers + (self.workers > 1)


KINDS = (
    Kind(end="true", outcome=State.STOPPED),
    Kind(end="exit 3", outcome=State.FAILED),
    Kind(end="exec sleep 600", outcome=State.CANCELLED, is_stopped=True),
    Kind(end="true", outcome=State.STOPPED, workers=2),
)


@define
class Followed:
    """What a caller was told of one experiment."""

    name: str
    kind: Kind
    handle: str = ""
    state: int | None = None
    rows: Rows = field(factory=dict)
    error: Exception | None = None


class Followers:
    """All threads.

    :param ExperimentsClient client: the one client
    :param Path ran: a file into which each command writes the name of its experiment when it begins
    :param int threads: how many there are
    """

    def __init__(self, client: ExperimentsClient, ran: Path, threads: int) -> None:
        self.told: list[Followed] = []
        self._client = client
        self._ran = shlex.quote(str(ran))
        self._is_enough = threading.Event()
        self._lock = threading.Lock()
        # As daemons, so that Ctrl-C does not have to wait for them.
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"follower {n}") for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_enough.set()

    def finish(self) -> None:
        """Let each follow its last experiment to the end."""
        self._is_enough.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._is_enough.is_set():
            with self._lock:
                number = len(self.told)
                told = Followed(f"run-{number}", KINDS[number % len(KINDS)])
                self.told.append(told)
            try:
                self._follow(told)
            except Exception as error:  # whatever it is: there should be none
                told.error = error

    def _follow(self, told: Followed) -> None:
        told.handle = self._create(told)
        with contextlib.closing(self._client.yield_logs(told.handle)) as rows:
            for row in rows:
                _note(told.rows, row)
                if told.kind.is_stopped and row.message.endswith(f" {ROWS}"):
                    self._client.stop(told.handle)
        told.state = self._client.state(told.handle)

    def _create(self, told: Followed) -> str:
        here = f"echo {told.name} >> {self._ran}"
        printing = f"i=1; while [ $i -le {ROWS} ]; do echo {told.name} $i; i=$((i+1)); sleep {_PAUSE}; done"
        command = f"{here}; {printing}; {told.kind.end}"
        if told.kind.workers == 1:
            return self._client.run_single_node(
                name=told.name, project_id="p", container="c", machine_type="m", command=command
            )
        handle = self._client.create_multi_node(
            name=told.name,
            project_id="p",
            experiment_type_id="GRPC",
            worker_container="c",
            worker_machine_type="m",
            worker_command=command,
            worker_count=told.kind.workers,
            parameter_server_container="c",
            parameter_server_machine_type="m",
            parameter_server_command=f"{here}; exec sleep 600",
            parameter_server_count=1,
        )
        self._client.start(handle)
        return handle


def rows_of(rows: Iterable[LogRow]) -> Rows:
    """Give rows by their jobs, without the markers of their ends."""
    found: Rows = {}
    for row in rows:
        _note(found, row)
    return found


def _note(found: Rows, row: LogRow) -> None:
    if row.message != END_OF_LOG:
        found.setdefault(str(row.job_id), []).append((row.line, row.message))
