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
from gradient import AsyncExperimentsClient, ExperimentsClient

MODULES = [
    module.name
    for package in (gradient, gradient_ext)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]
PUBLIC = {name: getattr(gradient, name) for name in gradient.__all__}
CLIENTS = (ExperimentsClient, AsyncExperimentsClient)
CLASSES = [name for name, kind in PUBLIC.items() if inspect.isclass(kind) and kind not in CLIENTS]
METHODS = [
    (kind, name) for kind in CLIENTS for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
]


def examples(name):
    """Those of a module, but for those of the clients, which need a server."""
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder().find(module, extraglobs=PUBLIC):
        if not any(kind.__name__ in test.name for kind in (*CLIENTS, *CLIENTS[0].__mro__[1:-1])):
            yield test


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Each prints what is shown below it, for a user who has imported what is public."""
    runner = doctest.DocTestRunner()
    for test in examples(name):
        runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize(
    "name", [name for name, kind in PUBLIC.items() if inspect.isclass(kind) and kind not in CLIENTS]
)
def test_examples_of_public_classes(name):
    """They are found by themselves: they say that they are in `gradient`."""
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(exclude_empty=True).find(PUBLIC[name], name, module=False, globs=dict(PUBLIC)):
        runner.run(test)
    assert runner.failures == 0
    assert runner.tries or name not in ("ExperimentList", "LogRows", "LogRow", "BaseExperiment")


def test_there_are_examples():
    """Whoever moves them elsewhere is told here."""
    assert sum(len(test.examples) for name in MODULES for test in examples(name)) > 20


@pytest.fixture
def names(gradient_server, single_node):
    """What a user has who reads the documentation of a client: one of each kind, and an experiment."""
    gradient_server.clock.scale = 200
    urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
    clients = {kind: kind(gradient_server.api_key, **urls) for kind in CLIENTS}
    environment = {"GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 10}
    with clients[ExperimentsClient] as client:
        new = {**single_node, "name": "mnist", "experiment_env": environment}
        yield lambda kind: {
            **PUBLIC,
            "client": clients[kind],
            # Made when it is asked for: what a method says is tried by itself.
            "experiment_id": client.create_single_node(**new),
        }


def run(source, names, loop):
    """Run an example, which may have `await` in it; give what it prints."""
    code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        running = eval(code, names)
        if inspect.iscoroutine(running):
            loop.run_until_complete(running)
    return printed.getvalue()


@pytest.mark.parametrize(("kind", "method"), [*METHODS, *((kind, None) for kind in CLIENTS)])
def test_examples_of_the_clients(kind, method, names, gradient_server):
    """Each method has one, and so has the class; with the local server they print what is shown."""
    found = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(kind, method) if method else kind))
    assert found
    mine = names(kind)
    if method == "stop":
        gradient_server.clock.scale = 0  # Or it might be too late.
    with asyncio.Runner() as runner:
        for example in found:
            assert run(example.source, mine, runner.get_loop()) == example.want
        if kind is AsyncExperimentsClient:
            runner.run(mine["client"].close())
