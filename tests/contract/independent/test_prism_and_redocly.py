"""Contract, client and server before validators written elsewhere: Redocly lints the contract, Prism sits in between.

`make contract-independent` installs both with npm and runs this file; it is not part of `make test`.
"""

import contextlib
import copy
import json
import os
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from judging.contract import KEY_HEADER, SPEC
from judging.keywords import everything
from judging.methods import CREATES
from judging.requests import EXPERIMENTS_PLACE

from tests.client.blocking import client_of
from tests.fake_servers import status

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[2] / "openapi" / "experiments.yaml"
ENVIRONMENT = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


def lint(contract):
    command = [HERE / "node_modules/.bin/redocly", "lint", contract, "--config", HERE / "redocly.yaml"]
    return subprocess.run(
        [*command, "--lint-config", "error"], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )


def contract_of_one_host():
    """The contract as a server has it at one address: Prism ignores the servers of single operations."""
    whole = copy.deepcopy(SPEC)
    whole["paths"] = {}
    for path, item in copy.deepcopy(SPEC["paths"]).items():
        own = [one.pop("servers", None) for one in item.values() if isinstance(one, dict)]
        whole["paths"][path if any(own) else f"{EXPERIMENTS_PLACE}{path}"] = item
    return whole


@contextlib.contextmanager
def prism(directory, upstream):
    """Start a proxy that answers in the place of the server where a request or a response breaks the contract."""
    document, log = directory / "contract.json", directory / "prism.log"
    document.write_text(json.dumps(contract_of_one_host()), encoding="utf-8")
    command = [HERE / "node_modules/.bin/prism", "proxy", "--errors", "--port", "0", document, upstream]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"listening on (http://[\w.:]+)", log.read_text(encoding="utf-8"))):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def judged_url(gradient_server, tmp_path):
    """The address of a proxy before the server."""
    with prism(tmp_path, gradient_server.url) as url:
        yield url


def test_redocly_accepts_the_contract():
    """By every rule that it has, but for the exceptions that redocly.yaml explains."""
    done = lint(CONTRACT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_redocly_rejects_two_operations_with_one_name(tmp_path):
    invalid = tmp_path / CONTRACT.name
    text = CONTRACT.read_text(encoding="utf-8")
    invalid.write_text(text.replace("operationId: stopExperiment", "operationId: startExperiment"), encoding="utf-8")
    done = lint(invalid)
    assert done.returncode == 1
    assert "operation-operationId-unique" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_prism_accepts_all_that_client_and_server_say(gradient_server, judged_url, kind):
    """Whatever breaks the contract would be answered with an error by the proxy, and raised by the client."""
    with client_of(kind, gradient_server.api_key, base_url=judged_url, max_attempts=1) as client:
        for method, (_, request) in CREATES.items():
            given = everything(request).keywords
            experiment_id = getattr(client, method)(**given)
            shown = client.get(experiment_id)
            assert {name: getattr(shown, name) for name in given} == dict(given)
            if method.startswith("create"):
                client.start(experiment_id)
            assert client.state(experiment_id)
        gradient_server.advance(60)
        assert client.wait(experiment_id)
        assert list(client.yield_logs(experiment_id)) == list(client.logs(experiment_id))
        assert len(client.list()) == len(client.list(given["project_id"], limit=10, offset=0)) == len(CREATES)
        client.stop(client.run_single_node(**everything("SingleNodeRequest").keywords))
        client.delete(experiment_id)
    with client_of(kind, gradient_server.api_key, of="projects", api_url=judged_url, max_attempts=1) as projects:
        project_id = projects.create("mnist", "mnist-sample", "https://example.com/mnist.git")
        assert projects.get(project_id) in projects.list()
        projects.delete(project_id)


def test_prism_rejects_wrong_requests_and_responses(flaky, tmp_path):
    with prism(tmp_path, flaky.url) as url:
        key, address = {KEY_HEADER: "a-key"}, f"{url}{EXPERIMENTS_PLACE}/experiments/"
        assert httpx.get(address, params={"limit": "many"}, headers=key).status_code == 422
        assert flaky.requests == []
        flaky.plan = [status(200, {"data": 7})]
        assert httpx.get(address, headers=key).status_code == 500
