"""An environment for the last published client of the hosted service, which needs outdated packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parents[1] / ".venv-old-client"
_CLIENT = "gradient==1.9.1"
# What it runs with. Its own requirements are more, and some of their versions are gone, so it is installed without.
_NEEDED = (
    "requests<3",
    "six",
    "marshmallow==2.21.0",
    "attrs",
    "requests-toolbelt",
    "progressbar2",
    "python-dateutil==2.9.0.post0",
    "websocket-client==0.57.0",
    "gql[requests]==3.0.0a6",
    "gradient-utils==0.5.0",
    "setuptools<80",
)


def interpreter() -> str:
    """Return the Python of the environment, which is created the first time.

    :raises RuntimeError: it cannot be created; the text is the reason, in a line
    """
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists():
        print(f"Installing {_CLIENT} into {ENVIRONMENT.name} (once) ...", file=sys.stderr, flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
        install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*install, *_NEEDED)
        _run(*install, "--no-deps", _CLIENT)
        # -P: not the modules in the current directory.
        _run(str(python), "-P", "-W", "ignore", "-c", "from gradient import ExperimentsClient")
        (ENVIRONMENT / ".ready").touch()
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise RuntimeError(said[-1].strip())
