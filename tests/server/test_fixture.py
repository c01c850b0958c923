"""The pytest fixture as a user gets it: pytest in another process, in a directory with nothing but tests."""

import subprocess
import sys

import pytest

pytest_plugins = "pytester"
# Other plugins are slow to import, and one of them needs what is missing below.
QUICKLY = [part for name in ("anyio", "hypothesispytest", "schemathesis", "xdist") for part in ("-p", f"no:{name}")]
TESTS = """
import httpx
import pytest

from gradient import ExperimentsClient, constants

IDS = []


@pytest.fixture
def client(gradient_server):
    with ExperimentsClient(
        gradient_server.api_key, base_url=gradient_server.experiments_url, logs_url=gradient_server.logs_url
    ) as client:
        yield client


def run(client):
    return client.run_single_node(
        name="n", project_id="p", container="c", machine_type="K80", command="true", experiment_env=ENVIRONMENT
    )


ENVIRONMENT = {"GRADIENT_MOCK_SECONDS": 1e6, "GRADIENT_MOCK_LOG_LINES": 2}


@pytest.mark.parametrize("number", [1, 2])
def test_it_is_empty(client, gradient_server, number):
    assert client.list() == []
    assert gradient_server.clock.scale == 100
    IDS.append(run(client))
    gradient_server.clock.scale = 1


def test_ids_begin_again():
    assert IDS[0] == IDS[1]


def test_advance(client, gradient_server):
    experiment_id = run(client)
    assert client.state(experiment_id) != constants.ExperimentState.STOPPED
    gradient_server.advance(1e6)
    assert client.state(experiment_id) == constants.ExperimentState.STOPPED
    assert [row.line for row in client.yield_logs(experiment_id)] == [1, 2]


def test_addresses(gradient_server):
    headers = {"X-API-Key": gradient_server.api_key}
    for url in (gradient_server.experiments_url, gradient_server.experiments_url_v2):
        assert httpx.get(f"{url}experiments/", headers=headers).status_code == 200
    assert httpx.get(f"{gradient_server.logs_url}/jobs/logs", headers=headers).status_code == 400


def test_environment(gradient_server, monkeypatch):
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    with ExperimentsClient() as client:
        assert client.list() == []


def test_without_a_server():
    pass
"""
WITHOUT = """
import sys

import pytest


class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] == "{module}":
            raise ModuleNotFoundError("No module named '{module}'", name="{module}")


sys.meta_path.insert(0, Missing())
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_fixture_is_a_running_server_that_is_empty_for_each_test(pytester):
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess("-W", "error", *QUICKLY).assert_outcomes(passed=7)


def test_pytest_lists_the_fixture(pytester):
    shown = pytester.runpytest_subprocess("--fixtures", *QUICKLY)
    shown.stdout.fnmatch_lines(["gradient_server -- *", "    A running server without experiments; *"])


@pytest.mark.parametrize("module", ["uvicorn", "jsonschema_rs"])
def test_without_the_extra_the_fixture_fails_with_what_to_install(pytester, module):
    pytester.makepyfile("def test_with(gradient_server):\n    pass\n\n\ndef test_without():\n    pass\n")
    done = pytester.run(sys.executable, "-c", WITHOUT.format(module=module), "-W", "error", *QUICKLY)
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines([f"The local server needs {module}: pip install *'uvicorn<1,>=0.40'*"])
    assert "Traceback" not in done.stdout.str()
    assert "pytest_plugin.py" not in done.stdout.str()


def test_the_plugin_imports_nothing_else(pytester):
    seen = "import sys, pytest; before = set(sys.modules); import gradient_server.pytest_plugin; "
    seen += "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('gradient_server')))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"
