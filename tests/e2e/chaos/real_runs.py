"""Commands that really run, whose logs are followed while their server is killed; then all that happened is compared.

There are more threads than slots, so that some experiments always wait. Each command writes the name of its experiment
into a file when it begins, so that it is known how often it ran.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random

from attrs import define, field, frozen
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient, LogRow
from tests.e2e.chaos.servers import Server

THREADS = 8
SLOTS = 4
ROWS = 40
"""How many rows each command prints."""
UPTIME = 0.8
"""Seconds for which a server serves before it is killed, at most."""
Rows = dict[str, list[tuple[int, str]]]
"""For each job, the lines and messages of its rows in the order in which they came, without the end of the log."""


@frozen(kw_only=True)
class Kind:
    """A kind of experiment.

    :param str end: what its command does when it has printed its rows
    :param int state: the final state that this leads to
    :param int workers: how many nodes run the command; beside more than one, a parameter server prints nothing
    :param bool is_stopped: whether its caller stops it when it has printed its rows
    """

    end: str
    state: int
    workers: int = 1
    is_stopped: bool = False

    @property
    def nodes(self) -> int:
        """The number of commands that run."""
        return self.workers + (self.workers > 1)


KINDS = (
    Kind(end="true", state=State.STOPPED),
    Kind(end="exit 3", state=State.FAILED),
    Kind(end="exec sleep 600", state=State.CANCELLED, is_stopped=True),
    Kind(end="true", state=State.STOPPED, workers=2),
)


@define
class FollowedRun:
    """What the caller of one experiment got."""

    name: str
    kind: Kind
    handle: str = ""
    state: int | None = None
    rows: Rows = field(factory=dict)
    error: Exception | None = None

    def follow(self, client: ExperimentsClient, began: Path) -> None:
        """Run it and follow its log to the end.

        :param Path began: the file into which its commands write its name
        """
        self.handle = self._run(client, f"echo {self.name} >> {shlex.quote(str(began))}")
        for row in client.yield_logs(self.handle):
            add_row(self.rows, row)
            if self.kind.is_stopped and row.message == f"{self.name} {ROWS}":
                client.stop(self.handle)
        self.state = client.state(self.handle)

    def _run(self, client: ExperimentsClient, begin: str) -> str:
        loop = f"i=1; while [ $i -le {ROWS} ]; do echo {self.name} $i; i=$((i+1)); sleep 0.015; done"
        command = f"{begin}; {loop}; {self.kind.end}"
        if self.kind.workers == 1:
            return client.run_single_node(
                name=self.name, project_id="p", container="c", machine_type="m", command=command
            )
        handle = client.create_multi_node(
            name=self.name,
            project_id="p",
            experiment_type_id="GRPC",
            worker_container="c",
            worker_machine_type="m",
            worker_command=command,
            worker_count=self.kind.workers,
            parameter_server_container="c",
            parameter_server_machine_type="m",
            parameter_server_command=f"{begin}; exec sleep 600",
            parameter_server_count=1,
        )
        client.start(handle)
        return handle

    def has_printed_rows(self) -> bool:
        """Whether each worker has each row once, in order, after the one about ignored parameters."""
        printed = [f"{self.name} {number}" for number in range(1, ROWS + 1)]
        expected = [printed] * self.kind.workers + [[]] * (self.kind.nodes - self.kind.workers)
        found = sorted(([message for _, message in job[1:]] for job in self.rows.values()), reverse=True)
        lines_are_right = all([line for line, _ in job] == list(range(1, len(job) + 1)) for job in self.rows.values())
        return lines_are_right and found == expected


def add_row(rows: Rows, row: LogRow) -> None:
    """Add a row to those of its job."""
    if row.message != END_OF_LOG:
        rows.setdefault(str(row.job_id), []).append((row.line, row.message))


def _rows_of(log: Iterable[LogRow]) -> Rows:
    rows: Rows = {}
    for row in log:
        add_row(rows, row)
    return rows


def follow_while_killing(server: Server, directory: Path, kills: int, seed: int) -> dict[str, list[str]]:
    """Kill a server that executes commands while runs are followed, and return what went wrong, by kind.

    :param Path directory: for the file into which commands write
    :param int kills: how often the server is killed
    :param int seed: determines when
    """
    random, enough, numbers, runs = Random(seed), threading.Event(), count(), list[FollowedRun]()

    def work() -> None:
        while not enough.is_set():
            number = next(numbers)
            run = FollowedRun(f"run-{number}", KINDS[number % len(KINDS)])
            runs.append(run)
            try:
                run.follow(client, directory / "began")
            except Exception as error:  # there should be none, whatever it is
                run.error = error

    with ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client:
        with ThreadPoolExecutor(THREADS) as pool:
            working = [pool.submit(work) for _ in range(THREADS)]
            try:
                for _ in range(kills):
                    time.sleep(random.uniform(0, UPTIME))
                    server.go_away()
            finally:
                enough.set()
            for future in working:
                future.result()
        listed = [experiment.id for experiment in client.list()]
        again = {run.handle: _rows_of(client.logs(run.handle)) for run in runs if run.handle}
    wrong = judge(runs, again, (directory / "began").read_text().split(), listed)
    return wrong | {"processes left over": server.processes_left()}


def judge(
    runs: Sequence[FollowedRun], again: Mapping[str, Rows], began: Sequence[str], listed: Sequence[str]
) -> dict[str, list[str]]:
    """Compare what callers got with what is there at the end; return what is wrong, by kind.

    :param again: the rows of each experiment at the end, by handle
    :param began: the name of an experiment for each command of it that has begun
    :param listed: the handles of all experiments on the server
    """
    times = Counter(began)
    ended = [run for run in runs if not run.error]
    return {
        "errors of the client": [f"{run.name}: {run.error!r}" for run in runs if run.error],
        "logs not as printed": [f"{run.name}: {run.rows}" for run in ended if not run.has_printed_rows()],
        "logs that have changed": [run.name for run in ended if again[run.handle] != run.rows],
        "wrong final states": [f"{run.name}: {run.state}" for run in ended if run.state != run.kind.state],
        "commands not run once": [run.name for run in ended if times[run.name] != run.kind.nodes],
        "experiments not listed once": [run.name for run in ended if listed.count(run.handle) != 1],
        "experiments of nobody": [handle for handle in listed if handle not in {run.handle for run in runs}],
    }
