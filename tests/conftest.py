"""What tests of several rooms need: a server that answers whatever a test tells it, and parameter dictionaries."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import hypothesis
import pytest

from gradient import ExperimentsClient
from tests.client.blocking import client_of


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("what is generated")
    group.addoption("--examples", type=int, default=50, help="examples of each property (default: %(default)s)")
    group.addoption("--fresh", action="store_true", help="other examples each time; --hypothesis-seed repeats them")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    # One more than there are processors: tests wait a lot, for a server, for a process, for a timeout that is tried.
    return min(1 + (os.cpu_count() or 1), 8)


def pytest_configure(config: pytest.Config) -> None:
    # Where a shell has started this in the background, Ctrl-C is ignored, by all children too; tests try it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
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


class ScriptedServer:
    """A server that gives the answers of a script, one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, str, bytes]] = []
        self.otherwise: Callable[[str, str], tuple[int, str, bytes]] | None = None
        """What to answer to a method and a path when the script has come to its end."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                script.requests.append((self.command, self.path, self.rfile.read(length)))
                script.headers.append(dict(self.headers))
                if script.answers or script.otherwise is None:
                    status, content_type, body = script.answers.pop(0)
                else:
                    status, content_type, body = script.otherwise(self.command, self.path)
                self.send_response(status, "Scripted")
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                if 300 <= status < 400:
                    self.send_header("Location", "http://elsewhere.invalid/")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def say(self, status: int, body: object = b"", content_type: str = "application/json") -> None:
        """Put one answer at the end of the script; what is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, content_type, raw))

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def scripted_all_along() -> Iterator[ScriptedServer]:
    """One for many tests: making a client of it takes longer than most of them."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(params=["threads", "asyncio"])
def scripted_client(request: pytest.FixtureRequest, scripted: ScriptedServer) -> Iterator[ExperimentsClient]:
    """A client of the scripted server, which tries everything once: a script has one answer for each request."""
    with client_of(request.param, "a-key", base_url=scripted.url, logs_url=scripted.url, max_attempts=1) as client:
        yield client


@pytest.fixture
def client(gradient_server) -> Iterator[ExperimentsClient]:
    """A client of the local server."""
    with ExperimentsClient(
        gradient_server.api_key, base_url=gradient_server.experiments_url, logs_url=gradient_server.logs_url
    ) as client:
        yield client


@pytest.fixture
def single_node() -> dict[str, object]:
    return {
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


@pytest.fixture
def multi_node() -> dict[str, object]:
    return {
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
