"""Commands that really run, whose logs are followed while their server is killed: no row is lost or comes twice.

`make faults` does the same with many kills.
"""

import contextlib
import shlex
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random

from attrs import define, field
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from tests.e2e.chaos.server_process import ServerProcess

THREADS = 6
SLOTS = 4
"""Fewer than threads, so that some experiments always wait."""
ROWS = 25
"""How many rows each command prints."""
UPTIME = 0.8
"""Seconds for which a server serves before it is killed, at most."""
NAMES = {"name": "n", "project_id": "p"}
# How the command of a single node or a worker ends when it has printed its rows, and the state that this leads to.
ENDS = [("true", State.STOPPED), ("exit 3", State.FAILED), ("exec sleep 600", State.CANCELLED), ("true", State.STOPPED)]


@define
class FollowedRun:
    """One experiment and what its caller got. Every fourth one has two workers and a parameter server."""

    number: int
    handle: str = ""
    state: int | None = None
    rows: dict[str, list[tuple[int, str]]] = field(factory=dict)
    """For each job, the lines and messages of its rows in the order in which they came."""

    def follow(self, client, began):
        """Run it, follow its log to the end, and stop it if nothing else does. Its commands write to a file first."""
        end, _ = ENDS[self.number % 4]
        begin = f"echo {self.number} >> {shlex.quote(str(began))}"
        loop = f"i=1; while [ $i -le {ROWS} ]; do echo {self.number} $i; i=$((i+1)); sleep 0.015; done"
        self.handle = self._run(client, f"{begin}; {loop}; {end}", f"{begin}; exec sleep 600")
        for row in client.yield_logs(self.handle):
            add_row(self.rows, row)
            if "sleep" in end and row.message == f"{self.number} {ROWS}":
                client.stop(self.handle)
        self.state = client.state(self.handle)

    def _run(self, client, command, server_command):
        if self.number % 4 != 3:
            return client.run_single_node(**NAMES, container="c", machine_type="m", command=command)
        nodes = {"worker": command, "parameter_server": server_command}
        fields = {f"{node}_command": command for node, command in nodes.items()}
        fields |= {f"{node}_{name}": "c" for node in nodes for name in ("container", "machine_type")}
        return client.run_multi_node(
            **NAMES, **fields, experiment_type_id="GRPC", worker_count=2, parameter_server_count=1
        )

    @property
    def commands(self):
        """How many commands it has."""
        return 3 if self.number % 4 == 3 else 1

    def messages(self):
        """Return the messages of each job that has any."""
        for rows in self.rows.values():
            assert [line for line, _ in rows] == list(range(1, len(rows) + 1))
        return sorted([message for _, message in rows] for rows in self.rows.values())


def add_row(rows, row):
    if row.message != END_OF_LOG:
        rows.setdefault(str(row.job_id), []).append((row.line, row.message))


def test_runs_are_followed_while_the_server_is_killed(tmp_path, pytestconfig):
    """Each command runs once, every reader sees the same rows, and no process is left over."""
    random, is_enough, numbers, runs = Random(1), threading.Event(), count(), []

    def work():
        while not is_enough.is_set():
            run = FollowedRun(next(numbers))
            runs.append(run)
            run.follow(client, tmp_path / "began")

    options = ("--runner", "process", "--slots", str(SLOTS), "--grace", "2", "--api-key", "ohGhe7caiw0shooPeeyeiG7a")
    with contextlib.closing(ServerProcess(tmp_path, *options)) as server:
        with server.client() as client:
            with ThreadPoolExecutor(THREADS) as pool:
                working = [pool.submit(work) for _ in range(THREADS)]
                try:
                    for _ in range(max(3, pytestconfig.option.examples // 10 - 2)):
                        time.sleep(random.uniform(0, UPTIME))
                        server.kill()
                finally:
                    is_enough.set()
                for future in working:
                    future.result()
            assert sorted(experiment.id for experiment in client.list()) == sorted(run.handle for run in runs)
            for run in runs:
                printed = [f"{run.number} {row}" for row in range(1, ROWS + 1)]
                state = ENDS[run.number % 4][1]
                reason = ["The command ended with exit code 3"] if state == State.FAILED else []
                assert run.messages() == [printed + reason] * max(1, run.commands - 1)
                assert run.state == state
                again = {}
                for row in client.logs(run.handle):
                    add_row(again, row)
                assert again == run.rows
        began = Counter(map(int, (tmp_path / "began").read_text().split()))
        assert began == {run.number: run.commands for run in runs}
        assert server.other_processes() == []
        assert server.errors == ""
