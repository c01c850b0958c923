"""Routing, authentication and many clients at once; and that the server leaks no secrets."""

import json
import os
import resource
import socket
import stat
import time

import httpx
import pytest
from gradient_api.constants import API_KEY_HEADER

from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import PATIENCE, raw_request

# --- routing and authentication


@pytest.mark.parametrize("key", [None, "", "GRADIENT-LOCAL", "gradient-local-", "é".encode("latin-1"), b"\xff\xfe"])
def test_an_incorrect_key_is_rejected_by_every_operation(ask, contract, single_node_body, key):
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            if "operationId" not in operation:
                continue
            body = single_node_body if "requestBody" in operation else None
            if "servers" in operation and operation["tags"] != ["logs"]:
                response = ask(method.upper(), path.format(handle="prnothing"), body, {API_KEY_HEADER: key})
                assert (response.status, response.body) == (401, {"status": 401, "message": "No such API token"})
            elif "servers" in operation:
                response = ask(method.upper(), f"{path}?experimentId=esnothing", body, {API_KEY_HEADER: key})
                assert (response.status, response.body) == (401, "Authentication failed")
            else:
                path_ = "/experiments/v1" + path.format(handle="esnothing", digest="nothing")
                response = ask(method.upper(), path_, body, {API_KEY_HEADER: key})
                assert response.status == 403
                assert response.body == {"details": "Incorrect API Key provided", "error": "Forbidden"}


def test_the_key_is_checked_before_the_request(ask):
    for method, path, body in [("GET", "?limit=x", None), ("POST", "run/", b"no JSON")]:
        ask(method, EXPERIMENTS + path, body, {API_KEY_HEADER: "wrong"}).assert_error(403)


@pytest.mark.parametrize(
    "handle",
    [
        "esnothing",
        *("..", "%2E%2E", "%00", "a%2Fb", "%FF", "%", "%C3%A9"),
        *("{handle}", "a" * 10_000, "run"),
    ],
    ids=lambda handle: handle[:12],
)
def test_an_unknown_handle_is_not_found(ask, handle):
    for method, path in [
        ("GET", "{}/"),
        ("DELETE", "{}/"),
        ("PUT", "{}/start/"),
        ("PUT", "{}/stop/"),
        ("GET", "{}/state/"),
    ]:
        if (handle, path) == ("run", "{}/"):
            continue  # The path of another operation.
        ask(method, EXPERIMENTS + path.format(handle)).assert_error(404)
    ask("GET", f"/jobs/logs?experimentId={handle}").assert_error(404)


@pytest.mark.parametrize(
    "path",
    [
        "/experiments/v3/experiments/",
        "/experiments/v1/experiments",
        "/experiments/v1/experiments/esnothing/pause/",
        "/experiments/v1/experiments//",
        "//experiments/v1/experiments/",
        "/experiments/v1/../v1/experiments/",
        "/experiments/v1%2Fexperiments%3F",
        "/Jobs/Logs?experimentId=esnothing",
        "*",
        "experiments",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "BREW"])
def test_an_unknown_path_is_not_found_and_not_redirected(ask, method, path):
    ask(method, path, b"{}").assert_error(404)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "get", "X" * 1000])
@pytest.mark.parametrize("path", ["/experiments/", "/experiments/run/", "/experiments/{handle}/", "/jobs/logs"])
def test_a_method_that_a_path_does_not_have_is_answered_with_those_it_has(ask, contract, method, path):
    prefix = "" if path == "/jobs/logs" else "/experiments/v1"
    response = ask(method, prefix + path.format(handle="esnothing", digest="nothing"))
    operations = contract["paths"][path].items()
    allowed = {name.upper() for name, operation in operations if "operationId" in operation}
    assert set(response.headers["Allow"].split(", ")) == allowed
    if method == "HEAD":
        assert (response.status, response.body) == (405, "")
    else:
        response.assert_error(405)


# --- many clients


def test_a_response_on_a_kept_connection_is_not_delayed_by_the_network_stack(ask):
    ask("GET", EXPERIMENTS)
    began = time.monotonic()
    for _ in range(100):
        assert ask("GET", EXPERIMENTS).status == 200
    assert time.monotonic() - began < 2  # Delayed acknowledgments would take 40 ms each.


@pytest.mark.usefixtures("server_stays_healthy")
def test_a_client_that_does_not_read_does_not_delay_others(connect, ask, single_node_body):
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": 10_000, "GRADIENT_MOCK_SECONDS": 0}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    deaf = connect()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(raw_request("GET", f"/jobs/logs?experimentId={handle}&limit=10000") * 5)
    assert deaf.recv(1) == b"H"
    for _ in range(20):
        assert ask("GET", EXPERIMENTS).status == 200


# --- secrets

KEY = "secret-api-key"
WITHOUT_UMASK = (
    "import os, runpy; os.umask(0); runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"
)


@pytest.fixture
def secret_body(single_node_body):
    return {
        **single_node_body,
        "registryPassword": "secret-password",
        "experimentEnv": {"TOKEN": "secret-token"},
        "command": "c2VjcmV0LWNvbW1hbmQ=",
    }


@pytest.fixture
def unmasked_server(launch_ready, tmp_path):
    """A server whose umask lets everybody read its files; its process, and a client."""
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"apiKey": KEY}))
    key_file.chmod(0o600)
    options = ["--store", str(tmp_path / "store"), "--api-key-file", str(key_file)]
    process, url = launch_ready(*options, program=("-c", WITHOUT_UMASK))
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False) as client:
        yield process, client


def test_files_of_the_server_are_private_and_the_key_is_not_visible_in_its_process(
    unmasked_server, tmp_path, secret_body
):
    process, client = unmasked_server
    assert client.post(EXPERIMENTS, json=secret_body).status_code == 200
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert {"store", "store-wal", "ready.json", "key.json"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
    if os.path.isdir("/proc/self"):
        for kind in ("cmdline", "environ"):
            with open(f"/proc/{process.pid}/{kind}", "rb") as file:
                assert KEY.encode() not in file.read()


def test_failures_are_logged_and_answered_without_secrets(unmasked_server, secret_body):
    process, client = unmasked_server
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    responses = [
        client.post(EXPERIMENTS, json=secret_body, headers={"Idempotency-Key": "secret-idempotency-key"}),
        client.post(EXPERIMENTS, json=secret_body, headers={"X-API-Key": "secret-wrong-key"}),
        client.post(EXPERIMENTS, json=secret_body, headers={"Host": "evil.example"}),
        client.post(EXPERIMENTS, content=b'{"command": "secret-text', headers={"Content-Type": "application/json"}),
        client.request("SECRET", "/secret-path"),
    ]
    assert [found.status_code for found in responses] == [500, 403, 403, 400, 404]
    process.terminate()
    output, errors = process.communicate(timeout=PATIENCE)
    assert "createExperiment failed" in errors
    assert "Traceback" in errors
    bodies = "".join(found.text for found in responses)
    assert "secret" not in (output + errors + bodies).lower()
    assert "Traceback" not in bodies
