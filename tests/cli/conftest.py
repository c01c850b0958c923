"""The command line in this process, pointed at a simulated server."""

from typing import NamedTuple

import pytest

from gradient import ExperimentsClient
from gradient_cli.app import run_command_line

FAST = {"GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 1}


class Result(NamedTuple):
    """The output of a command, and its exit code."""

    code: int
    output: str
    errors: str


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home directory without settings, and variables that lead to no other server."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in (
        "CONFIG_PATH",
        "CONFIG_FILE_NAME",
        "API_KEY",
        "CONFIG_EXPERIMENTS_HOST",
        "CONFIG_LOG_HOST",
        "CONFIG_HOST",
    ):
        monkeypatch.delenv(f"PAPERSPACE_{name}", raising=False)
    return tmp_path


@pytest.fixture
def cli(capfd):
    """A function that runs the command line in this process."""

    def run(*arguments):
        capfd.readouterr()
        code = run_command_line(arguments)
        output, errors = capfd.readouterr()
        return Result(code, output, errors)

    return run


@pytest.fixture
def server(gradient_server, monkeypatch):
    """A simulated server without experiments, which the command line finds by its environment."""
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    return gradient_server


@pytest.fixture
def client(server):
    """A client of the server."""
    with ExperimentsClient() as client:
        yield client
