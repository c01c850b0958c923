"""The directory of all runs: whose it is, and what stays of what was there before."""

import json
import os

import pytest

from tests.server.runners.process.conftest import wait_until


@pytest.fixture
def foreign(tmp_path):
    """A directory with things of somebody else in it, and what is in them."""
    directory = tmp_path / "mine"
    directory.mkdir(mode=0o700)
    (directory / "thesis").mkdir()
    (directory / "thesis" / "chapter.txt").write_text("x")
    (directory / "thesis" / "events.jsonl").write_text("mine\n")
    (directory / "kept-photos").mkdir()
    (directory / "notes").write_text("y")
    (directory / "link").symlink_to(directory / "thesis")
    return directory


def all_in(directory):
    return {path: path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


@pytest.mark.parametrize("keep", [True, False])
def test_what_is_of_others_stays(make_bench, foreign, keep):
    """Also where nothing is kept: then only what the runner has made is removed."""
    before = all_in(foreign)
    bench = make_bench(foreign, keep=keep)
    assert bench.rows(bench.done("echo one", handle="es1")) == ["one"]
    assert all_in(foreign).items() >= before.items()
    bench.runner.close()
    assert all_in(foreign).items() >= before.items()
    assert {path.name for path in foreign.iterdir()} - {path.name for path in before} == (
        {"es1", "lock"} if keep else set()
    )


def test_what_was_made_is_removed(make_bench, tmp_path):
    """Where nothing is kept: the directory, too."""
    bench = make_bench(tmp_path / "made", keep=False)
    bench.done("echo one")
    bench.runner.close()
    assert not (tmp_path / "made").exists()


def test_a_server_that_never_began_removes_nothing(make_bench, tmp_path):
    """Say because its store cannot be used."""
    directory = tmp_path / "kept"
    first = make_bench(directory, keep=True)
    first.done("echo one > file", handle="es1")
    first.runner.close()
    make_bench(directory, keep=False, begin=False).runner.close()
    assert (directory / "es1" / "workspace" / "file").read_text() == "one\n"


def test_runs_that_nobody_knows_are_kept_aside(make_bench, tmp_path, caplog):
    """Their store may be lost, and they are all that there is. It is said where they are, once."""
    directory = tmp_path / "kept"
    first = make_bench(directory, keep=True)
    first.done("echo one > file", handle="es1")
    first.runner.close()
    for _ in range(2):
        later = make_bench(directory, keep=False)
        assert later.rows(later.done("echo other", handle="es1")) == ["other"]
        later.runner.close()
        (kept,) = directory.iterdir()
        assert kept.name.startswith("kept-es1-")
        assert (kept / "workspace" / "file").read_text() == "one\n"
    (said,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert str(kept) in said


def test_what_was_to_be_run_is_not_kept(make_bench, tmp_path):
    """It may hold secrets, and nobody will run it."""
    directory = tmp_path / "kept"
    (directory / "es1" / "jobs").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    (directory / "es1" / "spec.json").write_text(json.dumps({"handle": "es1"}))
    make_bench(directory, keep=True)
    wait_until(lambda: not list(directory.rglob("spec.json")))
    assert len(list(directory.glob("kept-es1-*"))) == 1


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_a_directory_that_others_may_use(make_bench, tmp_path, mode):
    """It is refused, with what would be right, and nothing is made in it."""
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(PermissionError, match=rf"others may use it \(mode {mode:o}\); chmod 700") as raised:
        make_bench(directory)
    assert (raised.value.filename, list(directory.iterdir())) == (str(directory), [])


def test_a_directory_that_is_a_link(make_bench, tmp_path):
    """Where it leads is not looked at."""
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(OSError, match="it is a symbolic link"):
        make_bench(tmp_path / "link")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_lock_that_is_a_link(make_bench, tmp_path):
    """It is refused, and nothing is made where it leads."""
    directory = tmp_path / "runs"
    directory.mkdir(mode=0o700)
    os.symlink(tmp_path / "elsewhere", directory / "lock")
    with pytest.raises(OSError, match=r"lock") as raised:
        make_bench(directory)
    assert raised.value.filename == str(directory / "lock")
    assert not (tmp_path / "elsewhere").exists()
