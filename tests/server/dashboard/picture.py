"""Make `docs/page.png`: `.venv/bin/python -m tests.server.dashboard.picture`. This needs Chromium.

The picture shows a real run: the digits of `examples/`, on two workers and a parameter server.
"""

import shlex
import sys
import tempfile
from pathlib import Path

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner
from tests.server.dashboard.chromium import Chromium

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs" / "page.png"
COMMAND = f"{shlex.quote(sys.executable)} distributed.py"
NODES = {
    f"{node}_{name}": value
    for node in ("worker", "parameter_server")
    for name, value in {"container": "none", "machine_type": "local", "command": COMMAND}.items()
}
ROWS = 46
"""How many rows to wait for: the charts are there, and the run goes on."""


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer(runner=ProcessRunner(Path(folder) / "runs", slots=1, keep=False)) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
        Chromium(Path(folder) / "profile", width=1200, height=740) as chromium,
    ):
        chromium.open(server.url)
        chromium.log_in(server.api_key)
        handle = client.run_multi_node(
            name="digits on three nodes",
            project_id="prdigits",
            experiment_type_id="GRPC",
            worker_count=2,
            parameter_server_count=1,
            workspace_url=str(ROOT / "examples" / "digits"),
            experiment_env={"OPENBLAS_NUM_THREADS": 1, "EPOCHS": 40, "BATCH_SIZE": 16},
            **NODES,
        )
        chromium.open(f"{server.url}/page/experiments/{handle}")
        chromium.wait_for(f"document.querySelectorAll('#rows tr').length >= {ROWS}")
        PICTURE.write_bytes(chromium.screenshot())
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
