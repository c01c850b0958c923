"""The entry point of a job of `LocalCluster`, in the directory of its package: `local_driver.py LOGS`.

The driver is the same as on Ray; its machines are processes of this one.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gradient_server.runners.ray.driver import Cluster, drive
from gradient_server.runners.ray.placement import Bundle
from gradient_server.runners.supervised.remote_nodes import AgentLauncher, PlainLauncher


class LocalMachines(Cluster):
    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.host = "127.0.0.1"

    def claim(self, id: str) -> bool:
        try:
            os.close(os.open(self.logs.parent / "claims" / id, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def place(self, bundles: Sequence[Bundle], on_wait: Callable[[str], None]) -> AgentLauncher:
        while (self.logs.parent / "busy").exists():
            on_wait(f"It waits for {len(bundles)} times {bundles[0]}.")
            time.sleep(0.01)
        return PlainLauncher(has_shared_files=False)


sys.exit(drive(LocalMachines(Path(sys.argv[1]))))
