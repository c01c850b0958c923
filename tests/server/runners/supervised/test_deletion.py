"""Removal of the files of a run: mounts and the targets of links are left alone, and leftovers are reported."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradient_server.runners.supervised import deletion, scheduler
from gradient_server.runners.supervised.deletion import remove_tree
from tests.server.runners.conftest import only_linux, wait_until

MOUNTING = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
"""Runs a script that may mount things, which nobody else sees."""
REMOVAL = """
import sys
from pathlib import Path
from gradient_server.runners.supervised.deletion import remove_tree
for path, reason in remove_tree(Path(sys.argv[1])):
    print(f"{path}: {reason}")
"""


@pytest.fixture
def tree(tmp_path):
    """The files of a run, beside those of somebody else."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data.txt").write_text("years of work")
    folder = tmp_path / "run"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    return folder


def remaining(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def as_nobody(action):
    """Run a function as a user without privileges, in a process of its own."""
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@only_linux
@pytest.mark.parametrize(
    ("mount", "place"),
    [
        ("mount --bind {other} {run}/a/b/mounted", "a/b/mounted"),
        ("mount --bind {other} {run}/a/b/mounted; chmod 0 {run}/a/b", "a/b/mounted"),
        ("mount --bind {run}/.. {run}/a/b/mounted", "a/b/mounted"),
        ("mount -t tmpfs none {run}/a/b/mounted; touch {run}/a/b/mounted/data.txt", "a/b/mounted"),
        ("mount --bind {other}/data.txt {run}/a/b/file", "a/b/file"),
        ("mount --bind {other} {run}", ""),
    ],
    ids=["bind", "bind in a closed folder", "folder above", "tmpfs", "file", "the folder itself"],
)
def test_what_is_mounted_is_neither_removed_nor_changed(tree, mount, place):
    """A bind mount of the same device, too. The folders above are left, all else is removed."""
    (tree / "a" / "b" / "mounted").mkdir()
    (tree / "c").mkdir()
    other = tree.parent / "other"
    script = f"{mount.format(other=other, run=tree)}; {sys.executable} -c '{REMOVAL}' {tree}; ls {tree}/a/b/mounted"
    found = subprocess.run([*MOUNTING, script], capture_output=True, text=True, check=False)
    if "unshare" in found.stderr:
        pytest.skip("this user may not mount anything")
    left = str(tree / place) if place else str(tree)
    assert found.stdout.splitlines()[0].startswith(f"{left}: ")
    assert remaining(tree.parent) >= {"other/data.txt", str((tree / place).relative_to(tree.parent))}
    assert (other / "data.txt").read_text() == "years of work"
    if place == "a/b/mounted" and "tmpfs" in mount:
        assert found.stdout.splitlines()[-1] == "data.txt"
    if place:
        assert not (tree / "c").exists()


def test_links_are_removed_and_not_followed(tree):
    other = tree.parent / "other"
    (tree / "a" / "link").symlink_to(other)
    (tree / "file link").symlink_to(other / "data.txt")
    (tree / "dangling").symlink_to("nowhere")
    assert remove_tree(tree) == []
    assert remaining(tree.parent) == {"other", "other/data.txt"}
    tree.symlink_to(other)
    assert remove_tree(tree) == []
    assert remaining(tree.parent) == {"other", "other/data.txt"}


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(tree, monkeypatch):
    """The link takes the place of the folder after that was listed, and before it is opened."""
    scandir = os.scandir

    def listed(folder):
        found = list(scandir(folder))
        if any(entry.name == "b" and entry.is_dir(follow_symlinks=False) for entry in found):
            (tree / "a" / "b").rename(tree.parent / "moved")
            (tree / "a" / "b").symlink_to(tree.parent / "other")
        return _Listed(found)

    monkeypatch.setattr(deletion.os, "scandir", listed)
    assert remove_tree(tree) == []
    assert remaining(tree.parent) == {"other", "other/data.txt", "moved", "moved/file"}


class _Listed(list):
    """A list in the place of an iterator of `os.scandir`."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_folder_that_is_moved_away_meanwhile_ends_the_removal(tree, monkeypatch):
    """What is above its new place is not taken for what was above it."""
    unlink = os.unlink

    def move(name, **options):
        unlink(name, **options)
        (tree / "a" / "b").rename(tree.parent / "other" / "b")

    monkeypatch.setattr(deletion.os, "unlink", move)
    ((path, reason),) = remove_tree(tree)
    assert (path, reason) == (str(tree), "it was moved while it was being removed")
    assert (tree.parent / "other" / "data.txt").read_text() == "years of work"


@pytest.mark.parametrize("mode", [0o555, 0o000, 0o300, 0o600, 0o100])
def test_folders_without_rights_are_removed(tmp_path, mode):
    tmp_path.chmod(0o777)
    for above in tmp_path.parents[:3]:
        above.chmod(above.stat().st_mode | 0o011)
    folder = tmp_path / "run"

    def remove():
        (folder / "pkg" / "x").mkdir(parents=True)
        (folder / "pkg" / "x" / "file").write_text("secret")
        (folder / "pkg" / "x" / "file").chmod(0)
        for path in (folder / "pkg" / "x", folder / "pkg", folder):
            path.chmod(mode)
        assert remove_tree(folder) == []

    as_nobody(remove)
    assert not folder.exists()


def test_a_tree_deeper_than_any_path_and_the_open_files_is_removed(tmp_path):
    """A path has at most 4,096 bytes."""
    top = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("run", dir_fd=top)
    current = os.open("run", os.O_RDONLY, dir_fd=top)
    for _ in range(1100):
        os.mkdir("deeper", dir_fd=current)
        below = os.open("deeper", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.close(current)
    os.close(top)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/dev/fd"))) + 10, limits[1]))
    try:
        assert remove_tree(tmp_path / "run") == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert remaining(tmp_path) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
def test_what_belongs_to_another_user_stays_and_is_reported(tmp_path):
    tmp_path.chmod(0o777)
    for above in tmp_path.parents[:3]:
        above.chmod(above.stat().st_mode | 0o011)
    theirs = tmp_path / "run" / "a" / "theirs"
    theirs.mkdir(parents=True)
    (theirs / "file").write_text("x")
    (tmp_path / "run" / "mine").write_text("y")
    for path in (tmp_path / "run", tmp_path / "run" / "a", tmp_path / "run" / "mine"):
        os.chown(path, 65534, 65534)

    def remove():
        assert remove_tree(tmp_path / "run") == [(str(theirs / "file"), "Permission denied")]

    as_nobody(remove)
    assert remaining(tmp_path) == {"run", "run/a", "run/a/theirs", "run/a/theirs/file"}


def test_the_server_logs_what_it_could_not_remove_and_tries_again_when_it_is_started(make_bench, monkeypatch, caplog):
    """For example because it belongs to another user."""
    unlink = os.unlink

    def refuse(name, **options):
        if name == "theirs":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, **options)

    monkeypatch.setattr(deletion.os, "unlink", refuse)
    bench = make_bench(keep=True)
    bench.done("touch theirs mine", handle="es1").delete()
    wait_until(lambda: caplog.messages, "the warning")
    (left,) = bench.directory.glob(".forgotten-es1-*")
    assert f"{str(left / 'workspace' / 'theirs')!r}: Operation not permitted" in caplog.messages[0]
    assert remaining(left) == {"workspace", "workspace/theirs"}
    bench.runner.close()
    monkeypatch.undo()
    make_bench(keep=True)
    wait_until(lambda: not Path(left).exists(), "the removal")


def test_a_server_that_ends_leaves_a_long_removal_to_the_next_one(make_bench, monkeypatch):
    unlink = os.unlink

    def slow(name, **options):
        time.sleep(0.01)
        unlink(name, **options)

    monkeypatch.setattr(deletion.os, "unlink", slow)
    monkeypatch.setattr(scheduler, "_REMOVAL_TIMEOUT", 0.0)
    bench = make_bench(keep=True)
    bench.done("seq 1000 | xargs touch", handle="es1").delete()
    wait_until(lambda: list(bench.directory.glob(".forgotten-es1-*")), "the removal")
    bench.runner.close()
    (left,) = bench.directory.glob(".forgotten-es1-*")
    assert (left / "workspace").exists()
    monkeypatch.undo()
    make_bench(keep=True)
    wait_until(lambda: not left.exists(), "the removal")
