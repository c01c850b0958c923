"""The pytest plugin of this run: it chooses the tests, puts Prism in the way of the local server, and fails the test
during which Prism objects. The tests themselves do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import prism
import pytest
from node import HERE
from recording import Exchange, Recorder
from violations import violations

if TYPE_CHECKING:
    from gradient_server import LocalServer

Traffic = dict[str, list[Exchange]]

LAST = "test_traffic.py"
COVERED = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of this directory and those that send something to the local server through a client."""
    chosen = [item for item in items if item.path.is_relative_to(HERE) or _has_a_client(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = sorted(chosen, key=lambda item: item.path.name == LAST)


def _has_a_client(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return "gradient_server" in names and any(name == "client" or name.endswith("_client") for name in names)


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    """Everything that went to the local server and back: from clients, and what was sent to be refused."""
    return {"clients": [], "refusals": []}


@pytest.fixture(scope="session")
def server_url(_running_gradient_server: LocalServer) -> str:
    """Where the local server really is."""
    return _running_gradient_server.url


@pytest.fixture(scope="session")
def _judged_server(_running_gradient_server: LocalServer, server_url: str, traffic: Traffic) -> Iterator[None]:
    """Let the local server tell everybody the address of the judge before it."""
    with prism.judging("clients", server_url, requests=True) as ways, Recorder(ways, traffic["clients"]) as recorder:
        _running_gradient_server.url = recorder.url
        yield
        _running_gradient_server.url = server_url


@pytest.fixture(scope="session")
def lenient_url(server_url: str, traffic: Traffic) -> Iterator[str]:
    """Where the local server can be sent what is wrong; its answers are judged all the same."""
    with prism.judging("refusals", server_url, requests=False) as ways, Recorder(ways, traffic["refusals"]) as recorder:
        yield recorder.url


@pytest.fixture(autouse=True)
def _nothing_to_object(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that sent or was sent what the contract does not say."""
    if "gradient_server" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("_judged_server")
    traffic: Traffic = request.getfixturevalue("traffic")
    before = {name: len(exchanges) for name, exchanges in traffic.items()}
    yield
    found = [text for name, exchanges in traffic.items() for text in violations(exchanges[before[name] :])]
    if found:
        pytest.fail("\n".join(["Prism objects:", *found]), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was covered, if so much was run that it was measured."""
    lines = config.stash.get(COVERED, [])
    if lines:
        terminalreporter.section("what the judges have seen")
        for line in lines:
            terminalreporter.line(line)
