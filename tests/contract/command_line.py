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


def main() -> int:
    with LocalServer(time_scale=100, check_answers=True) as server:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", str(CONTRACT)]
        options = [f"--url={server.experiments_url}", "--checks=all", *sys.argv[1:]]
        return subprocess.run([*command, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
