"""`gradient server` and `gradient env` with a real server, and what needs no server."""

import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import gradient
from gradient import ExperimentsClient
from gradient_ext.config import running_server, server_file


@pytest.fixture
def running(cli, home):
    """A server with real runs in the background, on a free port; it is stopped after the test."""
    start_in_background()
    yield running_server()
    cli("server", "stop")


def start_in_background(*options):
    """Run the command that starts a server in the background, in a process of its own."""
    command = (sys.executable, "-m", "gradient_cli", "server", "start", "--background", "--port", "0", *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_a_server_in_the_background_is_found_by_clients_until_it_stops(cli, running):
    assert stat.S_IMODE(server_file().stat().st_mode) == 0o600
    assert cli("server", "status") == (0, f"Running at {running.url} (process {running.pid})\n", "")
    with ExperimentsClient() as client:
        assert client.list() == []
    run = cli("run", "--env", "WORD=real", "--machineType", "K80", "--", "sh", "-c", "echo $WORD; exit 7")
    assert (run.code, run.output.splitlines()) == (3, ["real", "The command ended with exit code 7"])
    assert run.errors.splitlines()[-1].endswith("has ended as failed")
    assert "machineType K80 is not used" in run.errors
    assert cli("server", "stop") == (0, "", "Server stopped\n")
    assert not server_file().exists()
    assert cli("server", "status").code == 1
    assert cli("server", "stop").code == 1


def test_a_second_server_in_the_background_is_not_started(cli, running):
    result = cli("server", "start", "--background")
    assert result.code == 0
    assert running.url in result.errors
    assert running_server() == running


def test_the_file_of_a_killed_server_leads_nobody_astray(cli, running):
    os.kill(running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while running_server() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server_file().exists()
    assert cli("server", "status").code == 1
    start_in_background()
    assert running_server().pid != running.pid


def test_env_prints_what_a_shell_can_evaluate(cli, running, home):
    exports = cli("env").output
    listing = (
        f'{exports}\n{sys.executable} -c "from gradient import ExperimentsClient; print(ExperimentsClient().list())"'
    )
    bare = {"PATH": os.environ["PATH"], "HOME": str(home / "elsewhere")}
    found = subprocess.run(["sh", "-c", listing], capture_output=True, text=True, env=bare, timeout=60, check=True)
    assert found.stdout == "[]\n"


def test_open_opens_the_page_in_a_browser_that_is_logged_in(running, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > "$0.address"\n')
    browser.chmod(0o700)
    command = [sys.executable, "-m", "gradient_cli", "server", "open"]
    found = subprocess.run(
        command, env={**os.environ, "BROWSER": f"{browser} %s"}, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout == ""
    address = urlsplit((tmp_path / "browser.address").read_text())
    assert f"{address.scheme}://{address.netloc}" == running.url
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=20)) as connection:
        connection.request("GET", f"{address.path}?{address.query}")
        response = connection.getresponse()
    assert (response.status, response.headers["Location"]) == (303, "/page/")
    assert response.headers["Set-Cookie"]


def test_without_a_browser_open_prints_the_link(running):
    command = [sys.executable, "-m", "gradient_cli", "server", "open"]
    without = {**os.environ, "PATH": "", "BROWSER": "no-such-browser"}
    found = subprocess.run(command, env=without, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.startswith(f"{running.url}/page/login?token=")


def test_a_server_that_cannot_start_says_why(cli, home):
    result = cli("server", "start", "--background", "--port", "99999")
    assert result.code == 1
    assert "--port" in result.errors
    assert "Traceback" not in result.errors


def test_in_the_foreground_it_takes_the_options_of_the_server(home):
    command = (sys.executable, "-m", "gradient_cli", "server", "start", "--port", "0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process.stdout:
        assert re.search(r"Serving .* \(commands run on this machine", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_without_a_server_the_error_says_how_to_start_one(cli, home):
    result = cli("experiments", "list", "--apiKey", "k")
    assert (result.code, result.output) == (1, "")
    assert "gradient server start" in result.errors
    assert cli("env").code == 1


def test_a_key_is_kept_for_its_owner_alone_until_logout(cli, home):
    path = home / ".paperspace/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"baseUrl": "http://127.0.0.1:1", "apiKey": "old"}))
    assert cli("apiKey", "sesame") == (0, "", "")
    assert json.loads(path.read_text()) == {"baseUrl": "http://127.0.0.1:1", "apiKey": "sesame"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cli("logout").code == 0
    assert json.loads(path.read_text()) == {"baseUrl": "http://127.0.0.1:1"}
    path.write_text("no JSON, and it stays")
    assert cli("apiKey", "sesame").code == 1
    assert path.read_text() == "no JSON, and it stays"


def test_version_is_that_of_the_package(cli, home):
    assert cli("version").output == cli("--version").output == f"{version('gradient-experiments')}\n"


def test_without_the_extra_one_line_names_what_to_install(tmp_path):
    blocked = "import sys; sys.modules['click'] = None; from gradient_cli import main; main()"
    found = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert (
        found.stderr == "gradient: The command line needs click: pip install 'click<9,>=8.5' 'pyyaml>=6' 'rich>=13'\n"
    )


OTHER = {"__init__.py": "from gradient._client import Gradient\n", "_client.py": "class Gradient: pass\n"}
"""Two files of the package `gradient` of PyPI."""


def test_another_package_called_gradient_in_the_place_of_this_one_is_said(tmp_path):
    (tmp_path / "gradient").mkdir()
    for name, content in OTHER.items():
        (tmp_path / "gradient" / name).write_text(content)
    command = [sys.executable, "-m", "gradient_cli", "version"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert "pip uninstall gradient gradient-experiments" in found.stderr


def test_another_package_called_gradient_beside_this_one_is_a_warning_at_import(tmp_path):
    shutil.copytree(Path(gradient.__file__).parent, tmp_path / "gradient")
    (tmp_path / "gradient/_client.py").write_text(OTHER["_client.py"])
    command = [sys.executable, "-c", "from gradient import ExperimentsClient"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True)
    assert "UserWarning: The package `gradient` of PyPI, which is another one" in found.stderr


def test_a_warning_is_a_line_without_a_place_in_the_code(tmp_path):
    command = [sys.executable, "-m", "gradient_cli", "experiments", "details", "a/b"]
    environment = {**os.environ, "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": "http://0.0.0.0:1", "PAPERSPACE_API_KEY": "k"}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    first, *_ = found.stderr.splitlines()
    assert first == "Warning: The API key goes to 0.0.0.0 over plain http, where others can read it; use https"


def test_du_shows_what_each_experiment_takes_and_delete_frees_it(cli, running):
    run = cli("run", "--env", "N=1", "--", "sh", "-c", "head -c 2000000 /dev/urandom > model")
    assert run.code == 0
    found = json.loads(cli("server", "du", "--json").output)
    (entry,) = found["entries"]
    assert found["total"] == entry["size"] > 2_000_000
    head, row, total = cli("server", "du").output.splitlines()
    assert head.split() == ["id", "name", "state", "created", "size"]
    assert entry["id"] in row
    assert "2.0 MB" in total
    assert "freed 2.0 MB" in cli("experiments", "delete", entry["id"], "-y").errors
    assert cli("server", "du").errors == "The server keeps nothing\n"


def test_prune_shows_what_it_would_delete_and_deletes_the_oldest(cli, running):
    for name in ("first", "second", "third"):
        assert cli("run", "--name", name, "--", "true").code == 0
    listed = json.loads(cli("experiments", "list", "--json").output)
    oldest, *_ = ids = [each["id"] for each in reversed(listed)]
    head, row, _ = cli("server", "prune", "--keep", "2", "--keep", "1w", "--dry-run").output.splitlines()
    assert head.split()[:3] == ["id", "name", "state"]
    assert row.split()[:3] == [oldest, "first", "stopped"]
    refused = cli("server", "prune", "--keep", "2")
    assert (refused.code, refused.errors.splitlines()[-1]) == (
        2,
        f"Error: This would delete {oldest}; with --yes it does",
    )
    assert len(cli("experiments", "list", "-q").output.split()) == 3
    assert "Experiment deleted; freed" in cli("server", "prune", "--keep", "2", "-y").errors
    assert cli("experiments", "list", "-q").output.split() == ids[:0:-1]
    assert cli("server", "prune", "--keep", "2", "-y").errors == "No experiment is to be deleted\n"
    both = cli("server", "prune", "-y").errors.splitlines()
    assert [re.sub(r"\d+\.\d kB", "N kB", line) for line in both] == [
        *(f"Experiment deleted: {each}; freed N kB" for each in ids[1:]),
        "Freed N kB",
    ]
    assert cli("experiments", "list", "-q").output == ""


def test_prune_refuses_what_is_no_limit(cli, running):
    refused = cli("server", "prune", "--keep", "many")
    assert refused.code == 2
    assert "'many' is neither a number such as 50, nor an age such as 30d, nor a size such as 200GB" in refused.errors
