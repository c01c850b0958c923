"""Make the pictures of `docs/page.md`: `.venv/bin/python -m tests.server.dashboard.picture`. This needs Chromium.

`page.png` shows a real run: the digits of `examples/`, on two workers and a parameter server. `compare.png` shows
simulated runs.
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
DOCS = ROOT / "docs"
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
        save(chromium, "page.png")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalServer() as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
        Chromium(Path(folder) / "profile", width=1200, height=740) as chromium,
    ):
        handles = [
            client.run_single_node(
                name=f"resnet50 lr {rate}",
                project_id="primagenet",
                container="none",
                machine_type="local",
                command="python train.py",
                tags=["sweep"],
                experiment_env={"LR": rate, "BATCH_SIZE": size, "GRADIENT_MOCK_LOG_LINES": rows},
            )
            for rate, size, rows in ((0.1, 64, 150), (0.03, 64, 200), (0.01, 128, 200), (0.003, 256, 120))
        ]
        server.advance(60)
        chromium.open(server.url)
        chromium.log_in(server.api_key)
        query = "&".join(f"run={handle}" for handle in handles)
        chromium.open(f"{server.url}/page/compare?{query}&smooth=0.8")
        chromium.wait_for("document.querySelectorAll('.chart canvas').length")
        save(chromium, "compare.png")


def save(chromium: Chromium, name: str) -> None:
    picture = DOCS / name
    picture.write_bytes(chromium.screenshot())
    print(f"{picture}: {picture.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
