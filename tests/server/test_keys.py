"""The file of the API key: made once, its owner's alone, found by a client through its usual configuration."""

import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gradient_server import LocalServer, keys
from gradient_server.keys import choose_key, environment_for, load_or_create_key, read_key
from gradient_server.private_files import write_new
from gradient_server.settings import DEFAULT_KEY, MIN_KEY_LENGTH

LIST_EXPERIMENTS = "from gradient import ExperimentsClient; print(ExperimentsClient().list())"
PATIENCE = 20


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "gradient"


@contextlib.contextmanager
def mask(bits):
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def listed(variables, tmp_path):
    """What a client lists in a fresh process that has these environment variables, and an empty home."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    program = [sys.executable, "-c", LIST_EXPERIMENTS]
    return subprocess.run(program, env={**bare, **variables}, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("bits", [0o000, 0o022, 0o077])
def test_who_can_read_it(folder, bits):
    """Its owner alone, whatever the umask is; the same holds for its folder, and nothing else is left there."""
    with mask(bits):
        key = load_or_create_key(folder)
    assert (mode(folder), mode(folder / "config.json")) == (0o700, 0o600)
    assert os.listdir(folder) == ["config.json"]
    assert json.loads((folder / "config.json").read_text()) == {"apiKey": key}


def test_it_is_kept(folder, tmp_path):
    """A later server has the same key; another folder has another one, and none is short."""
    key = load_or_create_key(folder)
    assert load_or_create_key(folder) == key
    others = {load_or_create_key(tmp_path / str(number)) for number in range(20)}
    assert len(others | {key}) == 21
    assert min(map(len, others)) >= 43  # 32 bytes


def test_two_servers_at_once(tmp_path):
    """They have the same key, whoever is the first."""
    for number in range(30):
        ready = threading.Barrier(4)

        def key(number=number, ready=ready):
            ready.wait(PATIENCE)
            return load_or_create_key(tmp_path / str(number))

        with ThreadPoolExecutor(4) as pool:
            assert len({found.result() for found in [pool.submit(key) for _ in range(4)]}) == 1
        assert os.listdir(tmp_path / str(number)) == ["config.json"]


def test_a_client_finds_it(folder, tmp_path):
    """Through the folder alone, also where other keys and files are set in its shell."""
    server_key = choose_key(None, None, executes_commands=True, folder=folder)
    stale = {"PAPERSPACE_API_KEY": "another", "PAPERSPACE_CONFIG_FILE_NAME": "other.json"}
    with LocalServer(api_key=server_key.text) as server:
        found = listed({**stale, **server.environment, **server_key.environment}, tmp_path)
    assert (found.stdout, found.stderr) == ("[]\n", "")
    assert server_key.text not in json.dumps(dict(server_key.environment))
    assert server_key.text not in repr(server_key)


def linked_file(folder, tmp_path):
    load_or_create_key(tmp_path / "other")
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.json").symlink_to(tmp_path / "other" / "config.json")


def dangling_link(folder, tmp_path):
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.json").symlink_to(tmp_path / "elsewhere")


def linked_folder(folder, tmp_path):
    load_or_create_key(tmp_path / "other")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "other")


def kept(folder, path=".", bits=None, text=None):
    load_or_create_key(folder)
    if text is not None:
        (folder / "config.json").write_text(text)
    if bits is not None:
        (folder / path).chmod(bits)


def pipe(folder, tmp_path):
    folder.mkdir(parents=True, mode=0o700)
    os.mkfifo(folder / "config.json", 0o600)


REFUSED = {
    "a link to a file": (linked_file, "config.json", "symbolic link"),
    "a link to nothing": (dangling_link, "config.json", "symbolic link"),
    "a link to a folder": (linked_folder, ".", "symbolic link"),
    "a pipe": (pipe, "config.json", "no file"),
    "others may read it": (lambda f, t: kept(f, "config.json", 0o644), "config.json", "chmod 600"),
    "the group may read it": (lambda f, t: kept(f, "config.json", 0o640), "config.json", "chmod 600"),
    "others may enter the folder": (lambda f, t: kept(f, ".", 0o711), ".", "chmod 700"),
    "the group may write the folder": (lambda f, t: kept(f, ".", 0o720), ".", "chmod 700"),
    "no JSON": (lambda f, t: kept(f, text="secret-text"), "config.json", "must hold a key"),
    "no object": (lambda f, t: kept(f, text='["secret-text"]'), "config.json", "must hold a key"),
    "no key": (lambda f, t: kept(f, text='{"key": "secret-text"}'), "config.json", "must hold a key"),
    "a key that is none": (lambda f, t: kept(f, text='{"apiKey": " secret-text"}'), "config.json", "must hold a key"),
    "a number": (lambda f, t: kept(f, text='{"apiKey": 7}'), "config.json", "must hold a key"),
    "nothing": (lambda f, t: kept(f, text=""), "config.json", "must hold a key"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_trusted(folder, tmp_path, kind):
    """Links, and what others may read or write: the error names it and says why, and never repeats what is in it."""
    make, name, reason = REFUSED[kind]
    make(folder, tmp_path)
    with pytest.raises(OSError, match=reason) as caught:
        load_or_create_key(folder)
    assert caught.value.filename == str(folder / name)
    assert "secret-text" not in str(caught.value)
    assert "secret-text" not in "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_a_new_file_is_new(tmp_path, target):
    """What has its name already is neither written to nor followed."""
    victim, link = tmp_path / "victim", tmp_path / "link"
    if target == "a file":
        victim.write_text("untouched")
    link.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_new(link, "text")
    assert victim.exists() == (target == "a file")
    assert not victim.exists() or victim.read_text() == "untouched"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
@pytest.mark.parametrize("name", ["", "config.json"])
def test_what_belongs_to_somebody_else(folder, name):
    """Is not trusted: who owns a folder or a file can change what is in it."""
    load_or_create_key(folder)
    os.chown(folder / name, 65534, -1)
    with pytest.raises(PermissionError, match="somebody else"):
        load_or_create_key(folder)


def test_a_folder_that_cannot_be_made(tmp_path):
    """The error says so."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        load_or_create_key(tmp_path / "file" / "folder")


def test_the_default_folder(monkeypatch, tmp_path):
    """It is in the state directory of the user."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in keys.default_folder().parents
    assert choose_key(None, None, executes_commands=True).text == load_or_create_key(keys.default_folder())


def test_a_file_of_others(tmp_path):
    """It may be a link, and its group may read it, as where secrets are mounted; what everybody reads is none."""
    path, link = tmp_path / "secret.json", tmp_path / "link.json"
    path.write_text('\ufeff{"apiKey": "a-key"}', encoding="utf-8")
    path.chmod(0o440)
    link.symlink_to(path)
    assert read_key(link) == "a-key"
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="chmod 600") as caught:
        read_key(link)
    assert caught.value.filename == str(link)


def test_the_environment_of_a_file(tmp_path, monkeypatch):
    """It is absolute, because clients start elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert environment_for(Path("k.json")) == {
        "PAPERSPACE_API_KEY": "",
        "PAPERSPACE_CONFIG_PATH": str(tmp_path),
        "PAPERSPACE_CONFIG_FILE_NAME": "k.json",
    }


def test_which_key_is_chosen(tmp_path, folder):
    """What was given, then the file, then what is made for real runs; simulated ones have that of the documentation."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"apiKey": "f" * MIN_KEY_LENGTH}))
    path.chmod(0o600)
    for is_real in (False, True):
        assert choose_key("g" * MIN_KEY_LENGTH, None, executes_commands=is_real).text == "g" * MIN_KEY_LENGTH
        assert choose_key(None, path, executes_commands=is_real).text == "f" * MIN_KEY_LENGTH
    assert choose_key(None, None).text == DEFAULT_KEY
    assert choose_key("short", None).text == "short"
    assert choose_key(None, None, executes_commands=True, folder=folder).text == load_or_create_key(folder)


def test_keys_that_can_be_guessed(tmp_path):
    """They are refused where commands can be run with them, the one of the documentation among them."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"apiKey": "f" * (MIN_KEY_LENGTH - 1)}))
    path.chmod(0o600)
    for given, file in ((DEFAULT_KEY, None), ("g" * (MIN_KEY_LENGTH - 1), None), (None, path)):
        with pytest.raises(ValueError, match=f"at least {MIN_KEY_LENGTH} characters"):
            choose_key(given, file, executes_commands=True)


def test_a_key_file_on_the_command_line(launch, tmp_path, ready_file):
    """The key is neither among the arguments nor in what is printed; the printed lines lead a client to the file."""
    path = tmp_path / "a folder" / "key.json"
    path.parent.mkdir()
    path.write_text('{"apiKey": "secret-api-key"}')
    path.chmod(0o600)
    process = launch("--port", "0", "--api-key-file", str(path), "--ready-file", str(ready_file))
    lines = [process.stdout.readline() for _ in range(3)]
    script = "\n".join([*lines[1:], 'exec "$0" -c "$1"'])
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAPERSPACE_API_KEY": "another"}
    program = ["sh", "-c", script, sys.executable, LIST_EXPERIMENTS]
    shell = subprocess.run(program, env=bare, capture_output=True, text=True, timeout=60)
    assert (shell.stdout, shell.stderr) == ("[]\n", "")
    assert lines[2].startswith("export PAPERSPACE_API_KEY= ")
    assert json.loads(ready_file.read_text())["api_key"] == "secret-api-key"
    process.terminate()
    output, errors = process.communicate(timeout=PATIENCE)
    assert "secret-api-key" not in "".join([*lines, output, errors, *process.args])


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "No such file"), ("secret-text", 'must hold a key, as {"apiKey": "..."}')]
)
def test_a_key_file_that_is_none(launch, tmp_path, text, reason):
    """One line names it and says what is wrong, not what is in it; the exit code is 1."""
    path = tmp_path / "key.json"
    if text:
        path.write_text(text)
        path.chmod(0o600)
    process = launch("--port", "0", "--api-key-file", str(path))
    output, errors = process.communicate(timeout=PATIENCE)
    assert (output, process.returncode, errors.count("\n")) == ("", 1, 1)
    assert f"--api-key-file {path}: " in errors
    assert reason in errors
    assert "secret-text" not in errors


def test_two_keys_at_once(launch, tmp_path):
    """A key and a file exclude each other."""
    process = launch("--port", "0", "--api-key-file", str(tmp_path / "k"), "--api-key", "k")
    output, errors = process.communicate(timeout=PATIENCE)
    assert (output, process.returncode) == ("", 2)
    assert "not allowed with" in errors
