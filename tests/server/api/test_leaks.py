"""What a server keeps and prints: nothing of it lets others know a key, a password, or what an experiment carries."""

import json
import os
import resource
import stat
import time

import httpx
import pytest

EXPERIMENTS = "/experiments/v1/experiments/"
KEY = "secret-api-key"
PATIENCE = 20
OPEN_TO_ALL = "import os, runpy; os.umask(0); runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"


@pytest.fixture
def server(launch, tmp_path, ready_file):
    """A server that would let everybody read its files, if it did not take care; its process, and a client."""
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"apiKey": KEY}))
    key_file.chmod(0o600)
    options = ["--store", str(tmp_path / "store"), "--ready-file", str(ready_file), "--api-key-file", str(key_file)]
    process = launch("--port", "0", *options, program=("-c", OPEN_TO_ALL))
    deadline = time.monotonic() + PATIENCE
    while not ready_file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    url = json.loads(ready_file.read_text(encoding="utf-8"))["logs_url"]
    with httpx.Client(base_url=url, headers={"X-API-Key": KEY}, trust_env=False) as client:
        yield process, client


@pytest.fixture
def secret_body(single_node_body):
    return {
        **single_node_body,
        "registryPassword": "secret-password",
        "experimentEnv": {"TOKEN": "secret-token"},
        "command": "c2VjcmV0LWNvbW1hbmQ=",
    }


def test_no_file_can_be_read_by_others(server, tmp_path, secret_body):
    """Everything that it has made is its owner's alone."""
    _, client = server
    assert client.post(EXPERIMENTS, json=secret_body).status_code == 200
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert {"store", "store-wal", "ready.json", "key.json"} <= set(modes)
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_failures_are_logged_without_secrets(server, secret_body):
    """Neither what it prints nor what it answers repeats them, where it fails and where it refuses."""
    process, client = server
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    answered = [
        client.post(EXPERIMENTS, json=secret_body, headers={"Idempotency-Key": "secret-idempotency-key"}),
        client.post(EXPERIMENTS, json=secret_body, headers={"X-API-Key": "secret-wrong-key"}),
        client.post(EXPERIMENTS, json=secret_body, headers={"Host": "evil.example"}),
        client.post(EXPERIMENTS, content=b'{"command": "secret-text', headers={"Content-Type": "application/json"}),
        client.request("SECRET", "/secret-path"),
    ]
    assert [one.status_code for one in answered] == [500, 403, 403, 400, 404]
    process.terminate()
    output, errors = process.communicate(timeout=PATIENCE)
    assert "createExperiment failed" in errors
    assert "Traceback" in errors
    said = "".join([output, errors, *(one.text for one in answered)])
    assert "secret" not in said.lower()
    assert "Traceback" not in "".join(one.text for one in answered)


def test_its_arguments_and_its_environment(server):
    """Which others may see of a process, or what it starts inherits: the key is in neither."""
    process, _ = server
    if not os.path.isdir("/proc/self"):
        pytest.skip("this system has no /proc")
    for kind in ("cmdline", "environ"):
        with open(f"/proc/{process.pid}/{kind}", "rb") as file:
            assert KEY.encode() not in file.read()
