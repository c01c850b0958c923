"""Which interpreters are found."""

import platform
import sys
from pathlib import Path

import pytest
from attrs import evolve

from tests.versions.environments import interpreters, one_of_each
from tests.versions.project import Project

ANY = Project(requires_python=">=3.11", classified=(), dependencies=())
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def pyenv(tmp_path, monkeypatch) -> Path:
    """Where pyenv keeps interpreters; neither the path nor uv has any."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return tmp_path / "pyenv" / "versions"


def put(directory: Path) -> Path:
    """Put the interpreter that runs the tests into a directory too."""
    directory.mkdir(parents=True)
    interpreter = directory / f"python{MINOR}"
    interpreter.symlink_to(Path(sys.executable).resolve())
    return interpreter


def test_interpreters_of_pyenv_are_found(pyenv):
    """They need not be in the path."""
    interpreter = put(pyenv / "some" / "bin")
    assert interpreters(ANY) == {platform.python_version(): interpreter}


def test_interpreters_in_the_path_are_found(pyenv, tmp_path, monkeypatch):
    """Also where there is no pyenv."""
    interpreter = put(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(interpreter.parent))
    assert interpreters(ANY) == {platform.python_version(): interpreter}


def listed(version: str, path: str, implementation: str = "cpython", variant: str = "default") -> dict[str, str]:
    return {"version": version, "path": path, "implementation": implementation, "variant": variant}


def test_there_is_one_of_each_minor_version():
    """The newest of it, in the first place where it is; they come by number, the oldest first."""
    found = one_of_each(
        [
            listed("3.11.9", "/a/python3.11"),
            listed("3.11.10", "/b/python3.11"),
            listed("3.11.10", "/c/python3.11"),
            listed("3.9.20", "/b/python3.9"),
        ]
    )
    assert list(found.items()) == [("3.9.20", Path("/b/python3.9")), ("3.11.10", Path("/b/python3.11"))]


def test_other_kinds_of_python_are_left_out():
    """Classifiers speak of CPython as it usually is."""
    others = [listed("3.14.0", "/a/python3.14t", variant="freethreaded"), listed("3.11.13", "/a/pypy3.11", "pypy")]
    assert one_of_each(others) == {}


def test_interpreters_that_the_package_refuses_are_left_out(pyenv):
    """What counts is `requires-python`."""
    put(pyenv / "some" / "bin")
    assert interpreters(evolve(ANY, requires_python=">=3.99")) == {}


def test_what_does_not_run_is_left_out(pyenv):
    """A file of that name is no interpreter: those of pyenv in the path run only where they are chosen."""
    broken = pyenv / "broken" / "bin" / f"python{MINOR}"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    assert interpreters(ANY) == {}
