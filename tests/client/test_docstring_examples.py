"""The examples in docstrings are true."""

import ast
import asyncio
import contextlib
import doctest
import importlib
import inspect
import io
import pkgutil

import pytest

import gradient
import gradient_ext
from gradient import AsyncExperimentsClient, AsyncProjectsClient, ExperimentsClient, ProjectsClient, constants
from tests.fake_servers import status

MODULES = [
    module.name
    for package in (gradient, gradient_ext)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]
PUBLIC = {name: getattr(gradient, name) for name in gradient.__all__}
CLIENTS = (ExperimentsClient, AsyncExperimentsClient, ProjectsClient, AsyncProjectsClient)
ASYNC = {AsyncExperimentsClient, AsyncProjectsClient}
CLASSES = [name for name, kind in PUBLIC.items() if inspect.isclass(kind) and kind not in CLIENTS]
CLIENT_METHODS = [
    (kind, name) for kind in CLIENTS for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
]
FAULTS = {
    "LogsInterruptedError": {"statuses": 503, "operations": "getLogs"},
    "MalformedResponseError": {"bodies": "half"},
    "RateLimitError": {"statuses": 429, "retry_after": 20},
    "RequestTimeoutError": {"latency": 2},
    "ServerError": {"statuses": 503},
}
"""The faults of the server while the example of an error runs."""


def examples(name):
    """Yield the examples of a module, except those of the clients, which need a server."""
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder().find(module, extraglobs=PUBLIC):
        if not any(kind.__name__ in test.name for kind in (*CLIENTS, *CLIENTS[0].__mro__[1:-1])):
            yield test


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_internal_modules_are_true(name):
    runner = doctest.DocTestRunner()
    for test in examples(name):
        runner.run(test)
    assert runner.failures == 0


def test_internal_modules_have_examples():
    assert sum(len(test.examples) for name in MODULES for test in examples(name)) > 20


def test_everything_public_has_an_example():
    public = {"gradient": gradient, **{name: getattr(gradient, name) for name in dir(gradient)}}
    parser = doctest.DocTestParser()
    assert [name for name, thing in public.items() if not parser.get_examples(thing.__doc__ or "")] == []


def test_every_public_method_has_an_example():
    parser = doctest.DocTestParser()
    lacking = []
    for kind in (*filter(inspect.isclass, PUBLIC.values()), constants.ExperimentState, constants.ExperimentType):
        for name in (name for name in dir(kind) if not name.startswith("_")):
            method = inspect.unwrap(getattr(kind, name))
            is_ours = inspect.isroutine(method) and (getattr(method, "__module__", None) or "").startswith("gradient")
            if is_ours and not parser.get_examples(method.__doc__ or ""):
                lacking.append(f"{kind.__name__}.{name}")
    assert lacking == []


@pytest.fixture
def names(gradient_server, single_node):
    """The names in the examples of the clients: a client and an experiment."""
    gradient_server.clock.scale = 200
    urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
    clients = {kind: kind(gradient_server.api_key, **urls) for kind in CLIENTS[:2]}
    clients |= {kind: kind(gradient_server.api_key, api_url=gradient_server.api_url) for kind in CLIENTS[2:]}
    environment = {"GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 10}
    with clients[ExperimentsClient] as client, clients[ProjectsClient]:
        new = {**single_node, "name": "mnist", "experiment_env": environment}
        yield lambda kind: {
            **PUBLIC,
            "client": clients[kind],
            "projects": clients[kind],
            # Made when it is asked for: what a method says is tried by itself.
            "experiment_id": client.create_single_node(**new) if kind in CLIENTS[:2] else None,
        }


def run(source, names, loop):
    """Run an example, which may contain `await`, and return what it prints."""
    code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        running = eval(code, names)
        if inspect.iscoroutine(running):
            loop.run_until_complete(running)
    return printed.getvalue()


@pytest.mark.parametrize(("kind", "method"), [*CLIENT_METHODS, *((kind, None) for kind in CLIENTS)])
def test_the_examples_of_the_clients_are_true_against_the_local_server(
    kind, method, names, gradient_server, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # Downloads go there, and uploads come from there.
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").touch()
    found = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(kind, method) if method else kind))
    assert found
    mine = names(kind)
    if method == "stop":
        gradient_server.clock.scale = 0  # Or it might be too late.
    with asyncio.Runner() as runner:
        for example in found:
            assert run(example.source, mine, runner.get_loop()) == example.want
        if kind in ASYNC:
            runner.run(mine["client"].close())


@pytest.fixture
def client_of_the_environment(gradient_server, monkeypatch):
    """A client without retries, of a server that the environment names."""
    monkeypatch.setenv("PAPERSPACE_API_KEY", gradient_server.api_key)
    monkeypatch.setenv("PAPERSPACE_CONFIG_EXPERIMENTS_HOST", gradient_server.experiments_url)
    monkeypatch.setenv("PAPERSPACE_CONFIG_LOG_HOST", gradient_server.logs_url)
    with ExperimentsClient(max_attempts=1, patience=0.1) as client:
        yield client


@pytest.fixture
def failing(client_of_the_environment, gradient_server, single_node, flaky):
    """The names in the example of an error, while the server has the fault that it is about."""

    @contextlib.contextmanager
    def during(name):
        names = {"client": client_of_the_environment, "parameters": single_node}
        new = dict(single_node)
        if name == "ExperimentFailedError":
            new["experiment_env"] = {"GRADIENT_MOCK_OUTCOME": "failed"}
        else:
            gradient_server.clock.scale = 0
        names["experiment_id"] = client_of_the_environment.create_single_node(**new)
        with contextlib.ExitStack() as stack:
            if name in FAULTS:
                stack.enter_context(gradient_server.faults(**FAULTS[name]))
            if name == "ResourceCreatingError":
                flaky.plan = [status(200, {"message": "success"})]  # No server of ours leaves out the handle.
                names["client"] = stack.enter_context(ExperimentsClient(base_url=flaky.url))
            yield {**PUBLIC, **names}

    return during


@pytest.mark.parametrize("name", CLASSES)
def test_the_examples_of_public_classes_are_true(name, failing):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with failing(name) as names:
        for test in doctest.DocTestFinder().find(PUBLIC[name], name, module=False, globs=names):
            runner.run(test)
    assert runner.failures == 0
    assert runner.tries


@pytest.mark.usefixtures("client_of_the_environment")
def test_the_example_of_the_package_is_true():
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(gradient.__doc__, {}, "gradient", None, None))
    assert runner.failures == 0
    assert runner.tries
