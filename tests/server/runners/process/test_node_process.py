"""One node, as its supervisor has it, at moments that are hard to meet."""

import subprocess
import sys

from tests.server.runners.process.conftest import is_alive, wait_until

# A supervisor that is killed when it has started a node, and has not let it go on.
KILLED = """
import os, signal, sys
from pathlib import Path
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.node_process import NodeProcess
from gradient_server.runners.process.nodes import nodes_of
folder = Path(sys.argv[1])
(node,) = nodes_of(["worker"], {"experimentTypeId": 1, "command": "touch ran"})
process = NodeProcess(node, LogWriter(folder / "0.log"), folder, os.environ)
print(process.id.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_does_not_run_when_its_supervisor_was_killed_before(tmp_path):
    """It waits until its process is known to those who come later; where that never happens, it ends and does nothing.

    Otherwise there could be a command that nobody finds again.
    """
    supervisor = subprocess.run([sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False)
    pid = int(supervisor.stdout)
    wait_until(lambda: not is_alive(pid), "the end of the node")
    assert not (tmp_path / "ran").exists()
