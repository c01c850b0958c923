"""Make `docs/page.png` anew: `.venv/bin/python -m tests.gradient_server.page.picture`. Needs Chromium."""

import tempfile
from pathlib import Path

from gradient import ExperimentsClient
from gradient_server import LocalServer
from tests.gradient_server.page.chromium import Chromium

PICTURE = Path(__file__).parents[3] / "docs" / "page.png"
EXPERIMENT = {
    "name": "digits, two workers",
    "project_id": "prdigits",
    "experiment_type_id": "GRPC",
    "worker_container": "python:3.11",
    "worker_machine_type": "K80",
    "worker_command": "python train.py",
    "worker_count": 2,
    "parameter_server_container": "python:3.11",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python train.py",
    "parameter_server_count": 1,
    "workspace_url": "none",
    "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 60},
}


def main() -> None:
    with (
        LocalServer() as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
        tempfile.TemporaryDirectory() as profile,
        Chromium(Path(profile), width=1200, height=740) as chromium,
    ):
        server.clock.scale = 0
        handle = client.run_multi_node(**EXPERIMENT)
        server.advance(15)
        chromium.open(server.url)
        chromium.log_in(server.api_key)
        chromium.open(f"{server.url}/page/experiments/{handle}")
        chromium.wait_for("document.querySelectorAll('polyline').length === 6")
        PICTURE.write_bytes(chromium.picture())
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
