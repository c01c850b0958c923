"""`python -m gradient_server`: its options in this process, and what it prints and writes in one of its own."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentState

from gradient import ExperimentsClient
from gradient_server.__main__ import ReadyFile
from gradient_server.cli import parse_options
from gradient_server.runners.base import new_handle
from tests.server.conftest import wait_for

LIST_EXPERIMENTS = "from gradient import ExperimentsClient; print(ExperimentsClient().list())"
REPORT_READY_FILE_AT_IMPORT = """
import os, runpy, sys

class Finder:
    def find_spec(self, name, *rest):
        if name == "gradient_server.local_server":
            print(os.path.exists(sys.argv[-1]), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Finder())
runpy.run_module("gradient_server", run_name="__main__", alter_sys=True)
"""
RUN = "runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"
TIMEOUT = 20
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="file names are UTF-8")
SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "K80", "command": "true"}


def client_of(process, **settings):
    """A client of a server that has just been launched."""
    url = re.search(r"http://\S+", process.stdout.readline())[0]
    return url, ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url, **settings)


def error_of(process) -> str:
    """The only line that a process writes before it fails."""
    output, errors = process.communicate(timeout=TIMEOUT)
    assert output == ""
    assert errors.endswith("\n")
    assert errors.count("\n") == 1, errors
    return errors


def usage_error(capsys, *options) -> str:
    """The only line about invalid options."""
    with pytest.raises(SystemExit) as caught:
        parse_options(options)
    output, errors = capsys.readouterr()
    assert (caught.value.code, output, errors.count("\n")) == (2, "", 1)
    return errors


# Options


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "99999"),
        ("--port", "-1"),
        ("--port", ""),
        ("--port", "9" * 5000),
        ("--time-scale", "0"),
        ("--time-scale", "nan"),
        ("--time-scale", "inf"),
        ("--time-scale", "fast"),
        ("--time-scale", "1e13"),
        ("--api-key", ""),
        ("--api-key", " spaces around "),
        ("--api-key", "é"),
        ("--api-key", "two\nlines"),
        ("--seed", "1.5"),
        ("--host", ""),
        ("--host", "a" * 64),
        ("--host", "127.0.0.1 "),
        ("--host", "two\nlines"),
        ("--host", "\udcff"),
        ("--allow-host", ""),
        ("--allow-host", "box:8090"),
        ("--api-key-file", ""),
        ("--store", ""),
        ("--store", "/"),
        ("--ready-file", ""),
        ("--runner", "other"),
        ("--colour",),
        ("--por", "0"),
        ("extra",),
    ],
    ids=lambda options: " ".join(options).replace("\n", " ")[:40],
)
def test_an_invalid_option_is_named_in_one_line(capsys, options):
    line = usage_error(capsys, *options)
    assert options[0] in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--slots", "2"), "--slots: it goes with --runner process"),
        (("--grace", "0"), "--grace: it goes with --runner process"),
        (("--runner", "process", "--seed", "7"), "--seed: ids of real runs are random"),
        (("--pass-env", "A"), "--pass-env: it goes with --runner process"),
        (("--expose",), "--expose: nothing is executed"),
        (("--keep", "50"), "--keep: with --runner simulated, runs have no files"),
        (("--runner", "process", "--keep", "lots"), "--keep: 'lots' is neither a number such as 50, nor an age"),
        (("--runner", "process", "--time-scale", "2"), "--time-scale: commands run in real time"),
        (("--runner", "process", "--host", "0.0.0.0"), "--host 0.0.0.0: anyone who reaches 0.0.0.0 and has the key"),
        (("--host", "0.0.0.0"), "--host 0.0.0.0: anyone who reaches 0.0.0.0 could use the documented key"),
        (("--api-key", "k", "--api-key-file", "k"), "not allowed with"),
        (("--store", "f", "--ready-file", "./f"), "--ready-file: f is the file of --store, too"),
        (("--api-key-file", "f", "--ready-file", "../{folder}/f"), "is the file of --api-key-file, too"),
    ],
)
def test_options_that_do_not_go_together_are_named(capsys, tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    assert text in usage_error(capsys, *(option.format(folder=tmp_path.name) for option in options))


@pytest.mark.parametrize("key", ["--api-key", "--api-key-file"])
def test_a_server_that_executes_nothing_listens_on_any_address_with_a_key_of_its_own(key):
    assert parse_options(["--host", "0.0.0.0", key, "k"]).host == "0.0.0.0"


@pytest.mark.parametrize("option", ["--store", "--ready-file", "--api-key-file"])
def test_a_relative_path_in_a_deleted_working_directory_is_named(capsys, tmp_path, monkeypatch, option):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert f"{option}: f is in the working directory, which has been deleted" in usage_error(capsys, option, "f")
    assert parse_options([option, str(tmp_path / "f")])


def test_help_lists_every_option_with_its_default(launch):
    process = launch("--help")
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (0, "")
    options = ("--host", "--port", "--allow-host", "--api-key", "--api-key-file", "--time-scale", "--seed", "--store")
    for option in (*options, "--ready-file", "--slots", "--grace", "--pass-env", "--machine-types", "--gpus"):
        assert re.search(rf"^  {option} [A-Z]+ +\S", output, re.MULTILINE), option
    for default in ("127.0.0.1", "8090", "gradient-local", "simulated", "one for each processor", "5.0)", "1.0)", "0)"):
        assert f"(default: {default}" in " ".join(output.split())
    assert max(map(len, output.splitlines())) <= 100


@pytest.mark.parametrize("module", ["uvicorn", "starlette"])
def test_without_the_extra_one_line_names_what_to_install(launch, module):
    blocked = f"import runpy, sys; sys.modules['{module}'] = None; {RUN}"
    process = launch("--port", "0", "--runner", "process", program=("-c", blocked))
    assert re.search(rf"The local server needs {module}: pip install .*'uvicorn<1,>=0.40'", error_of(process))
    assert process.returncode == 1


# What it serves


def test_the_printed_lines_can_be_pasted_into_a_shell(launch, tmp_path):
    process = launch("--port", "0", "--api-key", """it's $HOME "`id`" \\ & #1;*""")
    address, *exports = [process.stdout.readline().rstrip("\n") for _ in range(4)]
    assert re.search(r"http://127\.0\.0\.1:[0-9]+ ", address)
    assert [line.split()[0] for line in exports] == ["export", "export", "#"]
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    script = "\n".join([*exports, 'exec "$0" -c "$1"'])
    shell = subprocess.run(
        ["sh", "-c", script, sys.executable, LIST_EXPERIMENTS], env=bare, capture_output=True, text=True, timeout=60
    )
    assert (shell.stdout, shell.stderr) == ("[]\n", "")


def test_seed_and_time_scale_apply(launch):
    _, client = client_of(launch("--port", "0", "--seed", "7", "--time-scale", "1e6"))
    with client:
        experiment_id = client.run_single_node(**SMALL)
        assert experiment_id == new_handle(7, 1) != new_handle(8, 1)
        assert client.wait(experiment_id, timeout=1).state == ExperimentState.STOPPED


def test_a_port_in_use_exits_with_code_1(launch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = launch("--port", port)
        line = error_of(process)
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (("--ready-file", "{tmp_path}/ready.json"), "--ready-file {tmp_path}/ready.json"),
        (("--runner", "process"), "the key {tmp_path}/gradient-experiments/config.json"),
        (("--store", "{tmp_path}/store"), "--store {tmp_path}/store"),
    ],
)
def test_a_full_disk_is_reported_with_the_file(launch, tmp_path, monkeypatch, options, wanted):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); "
    options = [option.format(tmp_path=tmp_path) for option in options]
    process = launch("--port", "0", *options, program=("-c", limit + RUN))
    assert wanted.format(tmp_path=tmp_path) in error_of(process)
    assert process.returncode == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "store" not in path.name] == []


def test_an_address_that_this_machine_does_not_have_exits_with_code_1(launch):
    process = launch("--port", "0", "--host", "192.0.2.1", "--api-key", "k")
    assert error_of(process).startswith("python -m gradient_server: Cannot listen on 192.0.2.1:0: ")
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--store", "folder"),
        ("--ready-file", "missing/f"),
        ("--api-key-file", "missing"),
        ("--api-key-file", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_exits_with_code_1(launch, tmp_path, option, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "not UTF-8").write_bytes(b"\xff" * 200)
    (tmp_path / "not UTF-8").chmod(0o600)
    process = launch("--port", "0", option, str(tmp_path / name))
    assert error_of(process).startswith(f"python -m gradient_server: {option} {tmp_path / name}: ")
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("options", "where"), [((), "the key ~"), (("--api-key", "long enough for commands"), "--store ~")]
)
def test_a_user_without_a_home_directory_is_told_what_to_set(launch, options, where):
    """As in a container with a user that is not in its database."""
    without = "import os, pwd, runpy; os.environ.clear(); pwd.getpwuid = {}.__getitem__; "
    process = launch("--runner", "process", "--port", "0", *options, program=("-c", without + RUN))
    assert f": {where}: this user has no home directory: set HOME" in error_of(process)
    assert process.returncode == 1


# What it prints


@pytest.mark.parametrize("options", [("--port", "0"), ("--help",)])
def test_an_output_that_nobody_reads_any_more_is_an_error_in_one_line(launch, options):
    process = launch(*options)
    process.stdout.close()
    error = "python -m gradient_server: Cannot write to the standard output: Broken pipe\n"
    assert (process.stderr.read(), process.wait(TIMEOUT)) == (error, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize("options", [("--port", "0"), ("--help",)])
def test_an_output_on_a_full_disk_is_an_error_in_one_line(launch, options):
    onto_it = "import os, runpy; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); "
    process = launch(*options, program=("-c", onto_it + RUN))
    assert error_of(process) == (
        "python -m gradient_server: Cannot write to the standard output: No space left on device\n"
    )
    assert process.returncode == 1


def test_a_server_whose_output_is_closed_serves(launch_ready):
    program = ("-c", "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', *sys.argv[1:]])")
    _, url = launch_ready(program=(*program, "gradient_server"))
    with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
        assert client.list() == []


def test_a_server_without_docstrings_serves(launch_ready):
    _, url = launch_ready(program=("-OO", "-m", "gradient_server"))
    with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
        assert client.get(client.create_single_node(**SMALL)).name == "n"


def test_the_first_line_alone_can_be_read(launch, ready_file):
    """As `head -1` does. What is printed after it would break the server otherwise."""
    process = launch("--port", "0", "--ready-file", str(ready_file), program=("-u", "-m", "gradient_server"))
    url = re.search(r"http://\S+", os.read(process.stdout.fileno(), 9999).decode())[0]
    process.stdout.close()
    with ExperimentsClient("gradient-local", base_url=url + "/experiments/v1/", logs_url=url) as client:
        assert client.list() == []


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
@pytest.mark.parametrize("name", [b"\xc3\xa9 $x", pytest.param(b"\xff", marks=only_linux)])
def test_file_names_are_printed_as_they_are_whatever_the_encoding_of_the_output(
    launch, tmp_path, monkeypatch, encoding, name
):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    (folder / "config.json").write_text('{"apiKey": "a-key"}')
    (folder / "config.json").chmod(0o600)
    process = launch("--port", "0", "--api-key-file", str(folder / "config.json"))
    lines = [process.stdout.buffer.readline() for _ in range(4)]
    script = b"".join(lines[1:]) + b'printf %s "$PAPERSPACE_CONFIG_PATH"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, timeout=TIMEOUT, check=True)
    assert os.fsdecode(shell.stdout) == str(folder)


# The ready file


def test_the_ready_file_leads_to_a_server_that_serves(launch, ready_file):
    victim = ready_file.with_name("victim")
    ready_file.symlink_to(victim)
    process = launch("--port", "0", "--api-key", "a-key", "--ready-file", str(ready_file))
    deadline = time.monotonic() + TIMEOUT
    while ready_file.is_symlink():
        assert time.monotonic() < deadline
    wait_for(ready_file, process)
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    urls = {"url", "experiments_url", "experiments_url_v2", "logs_url", "api_url"}
    assert set(ready) == {*urls, "api_key", "environment", "pid", "simulated"}
    assert ready["simulated"] is True
    assert (ready["api_key"], ready["pid"]) == ("a-key", process.pid)
    for name in ("experiments_url", "experiments_url_v2"):
        with ExperimentsClient(ready["api_key"], base_url=ready[name], logs_url=ready["logs_url"]) as client:
            assert client.list() == []
            assert client.logs(client.create_single_node(**SMALL)) == []
            client.delete(client.list()[0].id)
    assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
    assert not victim.exists()


def test_the_ready_file_of_a_killed_server_is_removed_first(launch, ready_file):
    ready_file.write_text("{}", encoding="utf-8")
    process = launch("--port", "0", "--ready-file", str(ready_file), program=("-c", REPORT_READY_FILE_AT_IMPORT))
    assert process.communicate(timeout=TIMEOUT) == ("False\n", "")


@pytest.mark.parametrize(
    "text",
    [
        '{"apiKey": "secret"}',
        "not JSON",
        "[]",
        '{"pid": 1, "more": 2}',
        "\0" * 10**6,
        pytest.param(json.dumps({"pid": "x" * 2**16}), id="more than 64 KiB"),
    ],
)
def test_another_file_is_neither_taken_for_a_ready_file_nor_removed_for_one(ready_file, gradient_server, text):
    ready_file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=f"--ready-file {re.escape(str(ready_file))}: something else is there"):
        ReadyFile(ready_file).__enter__()
    ready_file.unlink()
    with ReadyFile(ready_file) as opened:
        opened.write(gradient_server)
        ready_file.write_text(text, encoding="utf-8")
    assert ready_file.read_text(encoding="utf-8") == text
    assert os.listdir(ready_file.parent) == [ready_file.name]


def test_nobody_can_guess_the_name_under_which_a_ready_file_is_written(ready_file, gradient_server, monkeypatch):
    """Or put something else there."""
    drafts, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda draft, path: drafts.append(draft.name) or replace(draft, path))
    for _ in range(2):
        with ReadyFile(ready_file) as opened:
            opened.write(gradient_server)
    assert len(set(drafts)) == 2
    assert {len(draft) for draft in drafts} == {len("ready.json.") + 16}


def test_the_name_under_which_a_ready_file_is_written_cannot_be_guessed(ready_file, gradient_server, monkeypatch):
    names = []
    monkeypatch.setattr(os, "open", lambda path, *rest, open=os.open: names.append(str(path)) or open(path, *rest))
    for _ in range(3):
        with ReadyFile(ready_file) as opened:
            opened.write(gradient_server)
    drafts = {name for name in names if name.startswith(f"{ready_file}.")}
    assert len(drafts) == 3
    assert all(re.fullmatch("[0-9a-f]{16,}", name.removeprefix(f"{ready_file}.")) for name in drafts)


@pytest.mark.parametrize("path", ["", "missing/ready.json", "a file/ready.json"])
def test_a_ready_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path, gradient_server, path):
    (tmp_path / "a file").touch()
    with (
        pytest.raises(SystemExit, match=f"--ready-file {re.escape(str(tmp_path / path))}: "),
        ReadyFile(tmp_path / path) as opened,
    ):
        opened.write(gradient_server)
    assert os.listdir(tmp_path) == ["a file"]
