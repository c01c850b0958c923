"""`python -m gradient_server` as a process of its own: what it prints, what it writes, what it refuses."""

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time

import pytest
from gradient_api.constants import ExperimentState

from gradient import ExperimentsClient
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.sqlite import StoreFile

LIST_EXPERIMENTS = "from gradient import ExperimentsClient; print(ExperimentsClient().list())"
LOOK_AT_AN_IMPORT = """
import os, runpy, sys

class Finder:
    def find_spec(self, name, *rest):
        if name == "gradient_server.local_server":
            print(os.path.exists(sys.argv[-1]), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Finder())
runpy.run_module("gradient_server", run_name="__main__", alter_sys=True)
"""
PATIENCE = 20
SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "K80", "command": "true"}


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def wait_for(path, process):
    """Wait for a file; a process that ends before is a failure."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the file has not appeared"
        time.sleep(0.001)


def first_lines(process) -> list[str]:
    """What it says when it starts: where it is, two lines to paste, and what a browser is told."""
    return [process.stdout.readline().rstrip("\n") for _ in range(4)]


def refused(process) -> str:
    """The one line that a process says before it gives up."""
    output, errors = process.communicate(timeout=PATIENCE)
    assert output == ""
    assert errors.endswith("\n")
    assert errors.count("\n") == 1, errors
    return errors


@pytest.mark.parametrize("key", ["gradient-local", """it's $HOME "`id`" \\ & #1;*"""])
def test_the_printed_lines_can_be_pasted(launch, tmp_path, key):
    """A shell that takes the two lines runs a client which finds the server, whatever characters the key has."""
    process = launch("--port", "0", "--api-key", key)
    address, *exports = first_lines(process)
    assert re.search(r"http://127\.0\.0\.1:[0-9]+ ", address)
    assert [line.split()[0] for line in exports] == ["export", "export", "#"]
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    script = "\n".join([*exports, 'exec "$0" -c "$1"'])
    shell = subprocess.run(
        ["sh", "-c", script, sys.executable, LIST_EXPERIMENTS], env=bare, capture_output=True, text=True, timeout=60
    )
    assert (shell.stdout, shell.stderr) == ("[]\n", "")


def test_the_ready_file(launch, ready_file):
    """It says where everything is, once: whoever sees it can connect at once, with no second try."""
    process = launch("--port", "0", "--api-key", "a-key", "--ready-file", str(ready_file))
    wait_for(ready_file, process)
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    assert set(ready) == {"experiments_url", "experiments_url_v2", "logs_url", "api_key", "pid"}
    assert (ready["api_key"], ready["pid"]) == ("a-key", process.pid)
    for name in ("experiments_url", "experiments_url_v2"):
        with ExperimentsClient(ready["api_key"], base_url=ready[name], logs_url=ready["logs_url"]) as client:
            assert client.list() == []
            assert client.logs(client.create_single_node(**SMALL)) == []
            client.delete(client.list()[0].id)


def test_who_can_read_the_ready_file(launch, ready_file):
    """Its owner alone, as a key is in it; a link that somebody else has put there is not followed."""
    victim = ready_file.with_name("victim")
    ready_file.symlink_to(victim)
    wait_for(ready_file, launch("--port", "0", "--ready-file", str(ready_file)))
    assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
    assert not ready_file.is_symlink()
    assert not victim.exists()


def test_the_ready_file_of_an_earlier_server(launch, ready_file):
    """A server that was killed leaves its file behind; the next one takes it away before it does anything else."""
    ready_file.write_text("{}", encoding="utf-8")
    process = launch("--port", "0", "--ready-file", str(ready_file), program=("-c", LOOK_AT_AN_IMPORT))
    assert process.communicate(timeout=PATIENCE) == ("False\n", "")


@pytest.mark.parametrize("text", ['{"apiKey": "secret"}', "not JSON", "[]", '{"pid": 1, "more": 2}', "\0" * 10**6])
def test_what_is_no_ready_file_is_left_alone(launch, ready_file, text):
    """Whatever else has that name is not taken away, and nothing is served."""
    ready_file.write_text(text, encoding="utf-8")
    process = launch("--port", "0", "--ready-file", str(ready_file))
    assert f"--ready-file {ready_file}: " in refused(process)
    assert process.returncode == 1
    assert ready_file.read_text(encoding="utf-8") == text
    assert os.listdir(ready_file.parent) == [ready_file.name]


def test_what_has_come_in_place_of_the_ready_file_is_left_alone(launch, ready_file):
    """When the server ends, it takes its own file away, and not that of another one."""
    process = launch("--port", "0", "--ready-file", str(ready_file))
    wait_for(ready_file, process)
    ready_file.write_text("another", encoding="utf-8")
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert ready_file.read_text(encoding="utf-8") == "another"


@pytest.mark.parametrize("other", ["--store", "--api-key-file"])
@pytest.mark.parametrize("path", ["{}", "{parent}/../{parent.name}/{name}"])
def test_one_file_for_two_things(launch, ready_file, other, path):
    """That is refused: the file of one would be lost to the other."""
    path = path.format(ready_file, parent=ready_file.parent, name=ready_file.name)
    process = launch("--port", "0", other, path, "--ready-file", str(ready_file))
    line = refused(process)
    assert "--ready-file" in line
    assert other in line
    assert process.returncode == 2
    assert not ready_file.exists()


def test_the_seed_decides_the_ids(launch):
    """The same seed gives the same ids, another one others."""

    def ids(seed):
        process = launch("--port", "0", "--seed", seed)
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
            return [client.create_single_node(**SMALL) for _ in range(3)]

    first = ids("7")
    assert ids("7") == first
    assert not set(ids("8")) & set(first)


def test_the_time_scale_makes_runs_fast(launch):
    """At a high scale, a run of the usual length is over at once."""
    process = launch("--port", "0", "--time-scale", "1e6")
    url = re.search(r"http://\S+", process.stdout.readline())[0]
    with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
        experiment_id = client.run_single_node(**SMALL)
        deadline = time.monotonic() + 1
        while client.state(experiment_id) != ExperimentState.STOPPED:
            assert time.monotonic() < deadline


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_an_ipv6_address(launch):
    """The address is in brackets, as addresses in URLs are."""
    process = launch("--port", "0", "--host", "::1")
    url = re.search(r"http://\S+", process.stdout.readline())[0]
    assert url.startswith("http://[::1]:")
    with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
        assert client.list() == []


def test_a_port_in_use(launch):
    """One line says which, and the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = launch("--port", port)
        line = refused(process)
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line
    assert process.returncode == 1


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "99999"),
        ("--port", "-1"),
        ("--port", ""),
        ("--port", "9" * 5000),
        ("--time-scale", "0"),
        ("--time-scale", "-1"),
        ("--time-scale", "nan"),
        ("--time-scale", "inf"),
        ("--time-scale", "fast"),
        ("--api-key", ""),
        ("--api-key", " spaces around "),
        ("--api-key", "é"),
        ("--api-key", "two\nlines"),
        ("--seed", "1.5"),
        ("--host", ""),
        ("--host", "a" * 64),
        ("--allow-host", ""),
        ("--allow-host", "box:8090"),
        ("--api-key-file", ""),
        ("--store", ""),
        ("--store", "/"),
        ("--ready-file", ""),
        ("--ready-file", "/"),
        ("--colour",),
        ("extra",),
    ],
    ids=lambda options: " ".join(options).replace("\n", " ")[:40],
)
def test_options_that_cannot_be(launch, options):
    """One line names the option and says what would be right; nothing is started, and the exit code is 2."""
    process = launch("--port", "0", *options)
    line = refused(process)
    assert options[0] in line
    assert len(line) < 300
    assert process.returncode == 2


@pytest.mark.parametrize("path", ["{tmp_path}", "{tmp_path}/missing/ready.json", "/dev/null/ready.json"])
def test_a_ready_file_that_cannot_be_written(launch, tmp_path, path):
    """One line says which and why, before anything is served; the exit code is 1."""
    path = path.format(tmp_path=tmp_path)
    process = launch("--port", "0", "--ready-file", path)
    line = refused(process)
    assert "--ready-file" in line
    assert path in line
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--ready-file", "{tmp_path}/ready.json"), "--ready-file {tmp_path}/ready.json"),
        (("--runner", "process"), "the key {tmp_path}/.local/state/gradient-experiments/config.json"),
        (("--store", "{tmp_path}/store"), "--store {tmp_path}/store"),
        (("--store", "{tmp_path}/old-store"), "--store {tmp_path}/old-store"),
    ],
)
def test_a_disk_that_is_full(launch, tmp_path, options, wanted):
    """One line says what cannot be written, and nothing half written is left."""
    StoreFile(tmp_path / "old-store", SimulatedRunner.name).close()
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); "
    run = "runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"
    options = [option.format(tmp_path=tmp_path) for option in options]
    process = launch("--port", "0", *options, program=("-c", limit + run))
    assert wanted.format(tmp_path=tmp_path) in refused(process)
    assert process.returncode == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "store" not in path.name] == []


def test_help(launch):
    """Every option is there with what it is and its default, and nothing is wider than the terminal."""
    process = launch("--help")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    options = ("--host", "--port", "--allow-host", "--api-key", "--api-key-file", "--time-scale", "--seed", "--store")
    for option in (*options, "--ready-file", "--slots", "--grace"):
        assert re.search(rf"^  {option} [A-Z]+ +\S", output, re.MULTILINE), option
    for default in ("127.0.0.1", "8090", "gradient-local", "simulated"):
        assert f"(default: {default}" in " ".join(output.split())
    assert max(map(len, output.splitlines())) <= 100


def test_the_extra_is_not_installed(launch):
    """Without it, one line says what to install."""
    blocked = (
        "import runpy, sys; sys.modules['uvicorn'] = None; "
        "runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"
    )
    process = launch("--port", "0", program=("-c", blocked))
    assert "pip install 'gradient-experiments[server]'" in refused(process)
    assert process.returncode == 1
