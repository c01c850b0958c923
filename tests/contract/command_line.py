"""Run schemathesis from its command line, all phases and all checks, against a live server; `make contract` does.

What is given on the command line of this file goes on to `schemathesis run`.
"""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from gradient_server import LocalServer

CONFIG = Path(__file__).with_name("schemathesis.toml")
CONTRACT = files("gradient_api") / "experiments.json"
DELETES_ONCE = "deleteProject"
"""Deleting a project twice is a 400, as it was recorded, though nothing is wrong with the request."""


def main() -> int:
    with LocalServer(time_scale=100, check_answers=True) as server:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(CONTRACT)]
        options = [f"--url={server.experiments_url}", "--checks=all", *sys.argv[1:]]
        others = subprocess.run([*command, *options, f"--exclude-operation-id={DELETES_ONCE}"], check=False)
        deletes = [
            *("--include-operation-id", DELETES_ONCE, "--phases", "examples,coverage,fuzzing"),
            *("--exclude-checks", "positive_data_acceptance"),
        ]
        return others.returncode or subprocess.run([*command, *options, *deletes], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
