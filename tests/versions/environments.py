"""Interpreters that are here, and environments of them with chosen dependencies: what uv is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from tests.versions.outcomes import Outcome, minor_of, outcome_of
from tests.versions.project import Project

ROOT = Path(__file__).resolve().parents[2]
_UV = Path(sys.executable).with_name("uv")
RESOLUTIONS = {"lowest": "lowest-direct", "highest": "highest"}
"""What the choices of dependencies are for uv. What dependencies depend on is the newest in both: how old that may be
is for them to say, and they often say it wrongly."""


def interpreters(project: Project) -> dict[str, Path]:
    """Find the interpreters that the package allows, in the path and where pyenv keeps its own.

    :return dict[str, Path]: by their versions, one of each minor version, the oldest first
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    path = [*map(str, sorted(pyenv.glob("versions/*/bin"))), os.environ.get("PATH", "")]
    listed = subprocess.run(
        [_UV, "python", "list", project.requires_python, "--only-installed", "--output-format", "json"],
        env=_environment(PATH=os.pathsep.join(path)),
        # Of interpreters that are too old for it, uv complains.
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return one_of_each(json.loads(listed))


def one_of_each(listed: Iterable[dict[str, Any]]) -> dict[str, Path]:
    """Choose the newest interpreter of each minor version, of the kind that classifiers speak of.

    :param Iterable[dict] listed: interpreters, as uv lists them
    """
    usual = [one for one in listed if (one["implementation"], one["variant"]) == ("cpython", "default")]
    usual.sort(key=lambda one: Version(one["version"]), reverse=True)
    found: dict[str, tuple[str, Path]] = {}
    for one in usual:
        found.setdefault(minor_of(one["version"]), (one["version"], Path(one["path"])))
    return dict(reversed(found.values()))


def try_in(interpreter: Path, python: str, dependencies: str, project: Project, arguments: Sequence[str]) -> Outcome:
    """Make an environment afresh, and run pytest there.

    :param Path interpreter: of what
    :param str python: its version
    :param str dependencies: a key of `RESOLUTIONS`
    :param Project project: what there is to install
    :param Sequence[str] arguments: for pytest
    """
    home = ROOT / f".venv-{minor_of(python)}-{dependencies}"
    if not _is_made(home, interpreter, RESOLUTIONS[dependencies]):
        return Outcome(python, dependencies, is_right=False)
    print("  " + ", ".join(_installed(home, project)), flush=True)
    junit = home / "junit.xml"
    # No cache: it belongs to the tests in .venv, whose last failures are others.
    options = ["-p", "no:cacheprovider", f"--junit-xml={junit}", *arguments]
    command = [str(home / "bin" / "python"), "-m", "pytest", *options]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return outcome_of(python, dependencies, code=code, junit=junit.read_text() if junit.exists() else None)


def _is_made(home: Path, interpreter: Path, resolution: str) -> bool:
    # The group and all extras, in one resolution: what is installed second could replace what was chosen first.
    chosen = ["--resolution", resolution, "--all-extras", "-r", "pyproject.toml", "--group", "test", "--editable", "."]
    commands = (
        ["venv", "--clear", "--python", str(interpreter), str(home)],
        ["pip", "install", "--python", str(home / "bin" / "python"), *chosen],
    )
    # Where one fails, uv says why.
    runs = (subprocess.run([_UV, *it, "--quiet"], cwd=ROOT, env=_environment(), check=False) for it in commands)
    return all(run.returncode == 0 for run in runs)


def _installed(home: Path, project: Project) -> list[str]:
    listed = subprocess.run(
        [_UV, "pip", "list", "--python", home / "bin" / "python", "--format", "json", "--quiet"],
        env=_environment(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    versions = {one["name"]: one["version"] for one in json.loads(listed)}
    return [f"{name} {versions.get(name, 'is missing')}" for name in project.dependencies]


def _environment(**more: str) -> dict[str, str]:
    # What is not here is not fetched: the interpreters that count are those that the machine has.
    return {**os.environ, "UV_PYTHON_DOWNLOADS": "never", **more}
