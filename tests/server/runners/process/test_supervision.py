"""The end of nodes whose numbers are those of other processes by then."""

import subprocess
import sys

import pytest

from tests.server.runners.process.conftest import wait_until

# A supervisor that tears down two nodes: one that runs, and one that has ended, whose number another process has now.
TEARING_DOWN = """
import os, select, sys
from pathlib import Path
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.node_process import NodeProcess
from gradient_server.runners.process.nodes import nodes_of
from gradient_server.runners.process.process_groups import ProcessId
from gradient_server.runners.process.stopping import Told
from gradient_server.runners.process.supervision import Supervision
folder, stranger = Path(sys.argv[1]), int(sys.argv[2])
given = {"experimentTypeId": 2, "parameterServerCommand": "trap '' TERM; echo $$; while :; do sleep 1; done",
         "parameterServerCount": 1, "workerCommand": "true", "workerCount": 1}
processes = [
    NodeProcess(node, LogWriter(folder / f"{node.name}.log"), folder, os.environ)
    for node in nodes_of(["parameter server 1", "worker 1"], given)
]
for process in processes:
    process.open_gate()
ended = processes[1]
os.waitpid(ended.id.pid, 0)
select.select([processes[0].output], [], [])
ended.id = ProcessId(stranger, ended.id.born)
Supervision(processes, Told()).tear_down(0.2)
"""


@pytest.fixture
def stranger():
    """A process that has nothing to do with any run, in a group of its own."""
    with subprocess.Popen(["sleep", "60"], process_group=0) as process:
        yield process
        process.kill()


def test_a_later_process_with_the_number_of_a_node_is_left_alone(tmp_path, stranger):
    """Numbers are given again. What runs of the other nodes is killed all the same."""
    subprocess.run([sys.executable, "-c", TEARING_DOWN, tmp_path, str(stranger.pid)], check=True, timeout=30)
    assert stranger.poll() is None
    (row,) = (tmp_path / "parameter server 1.log").read_text().splitlines()
    wait_until(lambda: subprocess.run(["ps", "-p", row.split('"')[1]], capture_output=True, check=False).returncode)
