"""Shared by all tests: options, the table of public methods, parameters, a fake server, a client."""

import copy
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import pytest

from gradient import ExperimentsClient
from tests.fake_servers import FlakyServer


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("what is generated")
    group.addoption("--examples", type=int, default=50, help="examples of each property (default: %(default)s)")
    group.addoption("--fresh", action="store_true", help="other examples each time; --hypothesis-seed repeats them")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    # Two more than there are processors: tests wait a lot, for a server, for a process, for a timeout that is tried.
    return min(2 + (os.cpu_count() or 1), 8)


def pytest_configure(config: pytest.Config) -> None:
    # Where a shell has started this in the background, Ctrl-C is ignored, by all children too; tests try it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Servers with real runs say there where they are: no test finds one of the user, and no client of the user one of
    # a test.
    state = tempfile.TemporaryDirectory(prefix="gradient-state-")
    config.add_cleanup(state.cleanup)
    os.environ["XDG_STATE_HOME"] = state.name
    # Before any test module is read: what it says of its settings adds to these.
    hypothesis.settings.register_profile(
        "steady",
        # How long an example takes says something about the machine, not about the code.
        deadline=None,
        derandomize=not (config.option.fresh or config.option.hypothesis_seed),
        database=None,
        max_examples=config.option.examples,
        print_blob=True,
    )
    hypothesis.settings.load_profile("steady")


SINGLE_NODE = {
    "name": "single_node_experiment_sdk",
    "project_id": "prlvf0u05",
    "command": "python mnist.py",
    "machine_type": "K80",
    "experiment_env": {"EPOCHS_EVAL": 2, "TRAIN_EPOCHS": 3, "MAX_STEPS": 100, "EVAL_SECS": 10},
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "workspace_url": "https://github.com/Paperspace/mnist-sample.git",
    "model_type": "Tensorflow",
    "model_path": "/storage/models/sdk_test",
}
MULTI_NODE = {
    "name": "multi_node_example",
    "project_id": "prlvf0u05",
    "experiment_type_id": 2,
    "worker_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "worker_machine_type": "K80",
    "worker_command": "pip install -r requirements.txt && python mnist.py",
    "experiment_env": {"EPOCHS_EVAL": 5, "TRAIN_EPOCHS": 10, "MAX_STEPS": 1000, "EVAL_SECS": 10},
    "worker_count": 2,
    "parameter_server_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
    "workspace_url": "https://github.com/Paperspace/mnist-sample.git",
    "model_type": "Tensorflow",
}


class NewFolder:
    """A path that is another one each time: an empty folder, which is removed in the end."""

    _made: ClassVar[list[tempfile.TemporaryDirectory]] = []

    def __fspath__(self) -> str:
        self._made.append(tempfile.TemporaryDirectory())
        return self._made[-1].name


METHODS = {
    "create_single_node": SINGLE_NODE,
    "run_single_node": SINGLE_NODE,
    "create_multi_node": MULTI_NODE,
    "run_multi_node": MULTI_NODE,
    "start": {"experiment_id": "es1"},
    "stop": {"experiment_id": "es1"},
    "delete": {"experiment_id": "es1"},
    "get": {"experiment_id": "es1"},
    "rerun": {"experiment_id": "es1", **SINGLE_NODE},
    "add_tags": {"entity_id": "es1", "tags": ["baseline"]},
    "remove_tags": {"entity_id": "es1", "tags": ["best"]},
    "list_tags": {"entity_ids": ["es1", "es2"]},
    "set_note": {"experiment_id": "es1", "text": "diverges"},
    "list": {"project_id": ["p1", "p2"], "tags": ["baseline", "vision"], "limit": 100, "offset": 1},
    "iter_experiments": {"project_id": ["p1", "p2"], "tags": "baseline", "page_size": 100},
    "state": {"experiment_id": "es1"},
    "logs": {"experiment_id": "es1", "line": 7},
    "get_logs": {"experiment_id": "es1"},
    "yield_logs": {"experiment_id": "es1"},
    "metrics": {"experiment_id": "es1", "names": ["loss"], "limit": 100},
    "stream_metrics": {"experiment_id": "es1", "names": "loss"},
    "wait": {"experiment_id": "es1"},
    "storage": {},
    "wait_for_removal": {"experiment_id": "es1", "timeout": 0.1},
    "artifacts": {"experiment_id": "es1", "pattern": "*.pt"},
    "download": {"experiment_id": "es1", "path": NewFolder(), "pattern": "*.pt"},
    "upload_workspace": {"workspace": Path(__file__).parent / "contract" / "workspace", "ignore_files": ["*.ckpt"]},
}
"""The public methods that send something, with the arguments of a call; `test_client` checks that none is missing."""
PROJECT_METHODS = {
    "create": {
        "name": "mnist",
        "repository_name": "mnist-sample",
        "repository_url": "https://example.com/mnist.git",
        "tags": ["vision"],
    },
    "list": {"tags": ["vision"]},
    "get": {"project_id": "prlvf0u05"},
    "add_tags": {"entity_id": "prlvf0u05", "tags": ["vision"]},
    "remove_tags": {"entity_id": "prlvf0u05", "tags": ["vision"]},
    "list_tags": {"entity_ids": ["prlvf0u05"]},
    "delete": {"project_id": "prlvf0u05"},
}
"""Those of the client of projects."""


def call_method(client: ExperimentsClient, name: str, /, **changes: object) -> Any:
    """Call a method with the arguments in the table; of a generator, return everything that it yields."""
    result = getattr(client, name)(**{**METHODS[name], **changes})
    return list(result) if isinstance(result, Iterator) else result


@pytest.fixture
def single_node() -> dict[str, Any]:
    return copy.deepcopy(SINGLE_NODE)


@pytest.fixture
def multi_node() -> dict[str, Any]:
    return copy.deepcopy(MULTI_NODE)


@pytest.fixture
def flaky() -> Iterator[FlakyServer]:
    server = FlakyServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_flaky() -> Iterator[FlakyServer]:
    """One for many tests: making a client of it takes longer than most of them."""
    server = FlakyServer()
    yield server
    server.stop()


@pytest.fixture
def client(gradient_server) -> Iterator[ExperimentsClient]:
    """A client of the local server."""
    urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
    with ExperimentsClient(gradient_server.api_key, **urls) as client:
        yield client
