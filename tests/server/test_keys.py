"""API keys: where a server takes them from, and the file that keeps one for the server and its clients."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from gradient_ext.config import state_folder
from gradient_server.keys import choose_key, embedded_key, environment_for, load_or_create_key, read_key
from gradient_server.private_files import write_new

LIST_EXPERIMENTS = "from gradient import ExperimentsClient; print(ExperimentsClient().list())"
TIMEOUT = 20
LONG = "Gh7caiw0shooPeeyeiG7"


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


@pytest.mark.parametrize("bits", [0o000, 0o022, 0o077])
def test_only_the_owner_can_read_a_kept_key_and_its_folder(folder, bits):
    with mask(bits):
        key = load_or_create_key(folder)
    assert (mode(folder), mode(folder / "config.json")) == (0o700, 0o600)
    assert os.listdir(folder) == ["config.json"]
    assert json.loads((folder / "config.json").read_text()) == {"apiKey": key}


def test_a_key_is_on_the_disk_before_it_has_its_name(folder, monkeypatch):
    """Otherwise a power failure could leave an empty file, with which no server starts."""
    path, synced = folder / "config.json", []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, os.fstat(file).st_size)))
    monkeypatch.setattr(
        os, "link", lambda *names, link=os.link, **options: synced.append("named") or link(*names, **options)
    )
    load_or_create_key(folder)
    assert synced[:2] == [(path.stat().st_ino, path.stat().st_size), "named"]


def test_a_kept_key_stays_the_same(folder, tmp_path):
    key = load_or_create_key(folder)
    assert load_or_create_key(folder) == key
    others = {load_or_create_key(tmp_path / str(number)) for number in range(20)}
    assert len(others | {key}) == 21
    assert min(map(len, others)) >= 43


def test_servers_that_start_at_the_same_time_have_the_same_key(tmp_path):
    for number in range(30):
        ready = threading.Barrier(4)

        def key(number=number, ready=ready):
            ready.wait(TIMEOUT)
            return load_or_create_key(tmp_path / str(number))

        with ThreadPoolExecutor(4) as pool:
            assert len({found.result() for found in [pool.submit(key) for _ in range(4)]}) == 1
        assert os.listdir(tmp_path / str(number)) == ["config.json"]


def link(path, target):
    path.unlink() if path.is_file() else path.rename(path.with_name("moved"))
    path.symlink_to(target)


def replace_by_pipe(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def replace_by_directory(path):
    path.unlink()
    path.mkdir(0o700)


NOT_PRIVATE = {
    "a link to a file": (lambda path: link(path, shutil.copy(path, path.parent.parent)), "symbolic link"),
    "a link to nothing": (lambda path: link(path, path.parents[2] / "elsewhere"), "symbolic link"),
    "a link to a folder": (lambda path: link(path.parent, "moved"), "symbolic link"),
    "a pipe": (replace_by_pipe, "no file"),
    "another folder": (replace_by_directory, "no file"),
    "others may read it": (lambda path: path.chmod(0o644), "chmod 600"),
    "the group may read it": (lambda path: path.chmod(0o640), "chmod 600"),
    "all but the group may read it": (lambda path: path.chmod(0o604), "chmod 600"),
    "others may enter the folder": (lambda path: path.parent.chmod(0o711), "chmod 700"),
    "the group may write the folder": (lambda path: path.parent.chmod(0o720), "chmod 700"),
    **{
        text: (lambda path, text=text: path.write_text(text), "must hold a key")
        for text in ("secret-text", '["secret-text"]', '{"key": "secret-text"}', '{"apiKey": " secret-text"}', "")
    },
}


@pytest.mark.parametrize("kind", NOT_PRIVATE)
def test_a_kept_key_that_others_could_know_or_that_is_invalid_is_refused(folder, tmp_path, kind):
    damage, reason = NOT_PRIVATE[kind]
    load_or_create_key(folder)
    damage(folder / "config.json")
    with pytest.raises(OSError, match=reason) as caught:
        load_or_create_key(folder)
    assert caught.value.filename == str(
        folder if kind.endswith("the folder") or "to a folder" in kind else folder / "config.json"
    )
    assert "secret-text" not in str(caught.value)
    assert "secret-text" not in "".join(traceback.format_exception(caught.value))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_a_new_file_does_not_follow_a_link(tmp_path, target):
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
def test_a_kept_key_of_another_user_is_refused(folder, name):
    load_or_create_key(folder)
    os.chown(folder / name, 65534, -1)
    with pytest.raises(PermissionError, match="somebody else"):
        load_or_create_key(folder)


@pytest.mark.parametrize("name", ["file", "file/folder"])
def test_a_folder_that_cannot_be_made_raises_an_os_error(tmp_path, name):
    (tmp_path / "file").touch(0o600)
    with pytest.raises(OSError, match=r"Not a directory|File exists") as caught:
        load_or_create_key(tmp_path / name)
    assert caught.value.filename in (str(tmp_path / "file"), str(tmp_path / name))


def test_the_default_folder_is_in_the_state_directory_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in state_folder().parents
    assert choose_key(None, None, executes_commands=True).text == load_or_create_key(state_folder())


def test_a_key_file_may_be_a_link_and_readable_by_a_group_but_not_by_everybody(tmp_path):
    path, link = tmp_path / "secret.json", tmp_path / "link.json"
    path.write_text('\ufeff{"apiKey": "a-key"}', encoding="utf-8")
    path.chmod(0o440)
    link.symlink_to(path)
    assert read_key(link) == "a-key"
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="chmod 600") as caught:
        read_key(link)
    assert caught.value.filename == str(link)


def test_the_environment_for_a_key_file_has_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert environment_for(Path("k.json")) == {
        "PAPERSPACE_API_KEY": "",
        "PAPERSPACE_CONFIG_PATH": str(tmp_path),
        "PAPERSPACE_CONFIG_FILE_NAME": "k.json",
    }


def test_the_key_is_the_given_one_or_that_in_a_file_or_the_default(tmp_path, folder):
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"apiKey": LONG}))
    path.chmod(0o600)
    for is_real in (False, True):
        assert choose_key(LONG[::-1], None, executes_commands=is_real).text == LONG[::-1]
        assert choose_key(None, path, executes_commands=is_real).text == LONG
    assert choose_key(None, None).text == "gradient-local"
    assert "gradient-local" not in repr(choose_key(None, None))
    assert choose_key("short", None).text == "short"
    assert choose_key(None, None, executes_commands=True, folder=folder).text == load_or_create_key(folder)


def test_short_keys_are_refused_where_commands_are_executed(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"apiKey": LONG[:19]}))
    path.chmod(0o600)
    for given, file in (("gradient-local", None), (LONG[:19], None), (None, path)):
        with pytest.raises(ValueError, match=r"at least 20 characters; .*token_urlsafe"):
            choose_key(given, file, executes_commands=True)


@pytest.mark.parametrize(
    "key",
    [
        "a" * 20,
        "k" * 64,
        "a" * 31 + "b",
        "ab" * 10,
        "changeme" * 3,
        "gradient-local-gradient-local",
        "12345678901234567890",
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789abcdefghij",
        "00000000000000000001",
        "01100101110010100110",
    ],
)
def test_keys_that_are_easy_to_guess_are_refused_where_commands_are_executed(tmp_path, folder, key):
    """Also if the user has put them where the random one is kept. The error says how to get a good one."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"apiKey": key}))
    path.chmod(0o600)
    load_or_create_key(folder)
    (folder / "config.json").write_text(json.dumps({"apiKey": key}))
    for given, file in ((key, None), (None, path), (None, None)):
        assert choose_key(given, file or path).text == key
        with pytest.raises(
            (ValueError, OSError), match=r"easy to guess.*a random one is made.*token_urlsafe"
        ) as caught:
            choose_key(given, file, executes_commands=True, folder=folder)
        assert key not in str(caught.value)
    with pytest.raises(ValueError, match="easy to guess"):
        embedded_key(key, executes_commands=True)


def test_random_keys_of_any_kind_are_not_easy_to_guess():
    random = Random(1)
    for number in range(1000):
        digits = "".join(random.choices("0123456789", k=24))
        for key in (str(uuid.UUID(int=random.getrandbits(128))), random.randbytes(16).hex(), digits):
            assert embedded_key(key, executes_commands=True) == key, number
    for words in ("correct-horse-battery-staple", "Tr0ub4dor&3 is a bad one"):
        assert embedded_key(words, executes_commands=True) == words


def test_a_key_file_leads_clients_to_the_key_without_showing_it(launch, tmp_path, ready_file):
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
    output, errors = process.communicate(timeout=TIMEOUT)
    assert "secret-api-key" not in "".join([*lines, output, errors, *process.args])


@pytest.mark.parametrize(
    "make",
    [lambda path: os.mkfifo(path, 0o600), lambda path: path.mkdir(0o700), lambda path: path.symlink_to("/dev/zero")],
)
def test_a_key_file_that_is_a_pipe_a_folder_or_a_device_is_refused_and_not_read(tmp_path, make):
    path = tmp_path / "key.json"
    make(path)
    with pytest.raises(OSError, match="it is no file") as caught:
        choose_key(None, path)
    assert caught.value.filename == str(path)


def test_of_a_key_file_without_end_the_beginning_is_read(tmp_path):
    path = tmp_path / "key.json"
    path.touch(0o600)
    os.truncate(path, 2**40)
    with pytest.raises(OSError, match="must hold a key"):
        choose_key(None, path)


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "No such file"), ("secret-text", 'must hold a key, as {"apiKey": "..."}')]
)
def test_an_invalid_key_file_exits_with_code_1(launch, tmp_path, text, reason):
    path = tmp_path / "key.json"
    if text:
        path.write_text(text)
        path.chmod(0o600)
    process = launch("--port", "0", "--api-key-file", str(path))
    output, errors = process.communicate(timeout=TIMEOUT)
    assert (output, process.returncode, errors.count("\n")) == ("", 1, 1)
    assert f"--api-key-file {path}: " in errors
    assert reason in errors
    assert "secret-text" not in errors
