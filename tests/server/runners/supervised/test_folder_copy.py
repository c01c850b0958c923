"""Copies of folders: what belongs to them, with what rights; and the original is left alone."""

import errno
import fcntl
import os
import shutil
import socket
import stat
import subprocess

import pytest

from gradient_server.runners.supervised import folder_copy
from gradient_server.runners.supervised.folder_copy import copy_folder
from gradient_server.runners.supervised.limits import SetupError
from tests.server.runners.conftest import only_root
from tests.server.runners.supervised.test_deletion import as_nobody


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "data.txt").write_text("data\n")
    return folder


@pytest.fixture
def remarks():
    return []


@pytest.fixture
def copied(project, tmp_path, remarks):
    """Copy the project, and return the copy."""

    def copied(source=project):
        folder = tmp_path / "runs" / "es1" / "workspace"
        folder.mkdir(parents=True)
        copy_folder(source, folder, tmp_path / "left out", remarks.append)
        return folder

    return copied


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-c", "protocol.file.allow=always", *who, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository(folder):
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "version").write_text("first\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("data.txt", "data.txt"),
        ("../src/data.txt", "../src/data.txt"),
        ("../../project/src/data.txt", "data.txt"),
        ("{project}/src/data.txt", "data.txt"),
        ("{project}/no/such/file", "../no/such/file"),
        ("{project}", ".."),
        ("{project}/latest", "../latest"),
        ("{elsewhere}/alias/src/data.txt", "data.txt"),
        ("{elsewhere}/alias", ".."),
        ("../../elsewhere/file", "{elsewhere}/file"),
        ("../..", "{elsewhere}/.."),
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("link", "link"),
    ],
)
def test_links_into_the_folder_lead_into_the_copy_and_others_where_they_did(
    project, copied, tmp_path, target, leads_to
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "alias").symlink_to(project)
    (project / "latest").symlink_to("src")
    (project / "src" / "link").symlink_to(target.format(project=project, elsewhere=elsewhere))
    copy = copied()
    expected = os.path.normpath(leads_to.format(elsewhere=elsewhere))
    assert os.readlink(copy / "src" / "link") == expected


def test_a_folder_that_is_named_by_a_link_is_copied_in_the_same_way(project, copied, tmp_path):
    (tmp_path / "alias").symlink_to(project)
    (project / "link").symlink_to(tmp_path / "alias" / "src")
    assert os.readlink(copied(tmp_path / "alias") / "link") == "src"


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_the_ignore_list_names_is_left_out_and_the_log_names_it(project, copied, remarks):
    for path in (".git/HEAD", ".venv/x", "src/__pycache__/x", "node_modules/x", "data/x", "src/a.tmp", "src/b.tmp"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).touch()
    (project / ".gitignore").write_text("data/\n.venv\n")
    (project / "src" / ".gradientignore").write_text("*.tmp\n!b.tmp\n")
    expected = [".gitignore", "src", "src/.gradientignore", "src/b.tmp", "src/data.txt"]
    assert names_in(copied()) == expected
    assert remarks == ["Left out of the workspace by .gitignore or .gradientignore: data/, src/a.tmp"]


def test_many_files_that_are_left_out_are_named_from_the_top(project, copied, remarks):
    for name in [f"src/{number}.log" for number in range(20)] + ["z.log"]:
        (project / name).touch()
    (project / ".gitignore").write_text("*.log\n")
    copied()
    assert remarks[0].endswith(
        ": z.log, src/0.log, src/1.log, src/10.log, src/11.log, src/12.log, src/13.log, "
        "src/14.log, src/15.log, src/16.log, ..."
    )


def test_git_in_the_copy_of_a_repository_can_be_asked_for_and_leaves_the_original_alone(project, copied, tmp_path):
    make_repository(project)
    (project / ".gradientignore").write_text("!.git\n")
    copy = copied()
    (copy / "result").touch()
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "of the run")
    assert (git(copy, "rev-list", "--count", "HEAD"), git(project, "rev-list", "--count", "HEAD")) == ("2", "1")


@pytest.mark.parametrize("kind", ["worktree", "link"])
def test_a_repository_elsewhere_is_never_that_of_the_copy(project, copied, tmp_path, kind):
    """Commits of the run would be in it."""
    shutil.rmtree(project)
    make_repository(tmp_path / "main")
    git(tmp_path / "main", "worktree", "add", "--quiet", str(project))
    if kind == "link":
        (project / ".git").unlink()
        (project / ".git").symlink_to(tmp_path / "main" / ".git")
    (project / ".gradientignore").write_text("!.git\n")
    assert names_in(copied()) == [".gradientignore", "version"]


def test_git_in_a_run_does_not_find_the_repository_that_the_runs_are_in(make_bench, tmp_path):
    """For example because the store is in a project."""
    make_repository(tmp_path / "project")
    bench = make_bench(tmp_path / "project" / "runs")
    run = bench.done("git rev-parse --git-dir")
    assert bench.outcome(run)[0] == "failed"
    assert "not a git repository" in bench.rows(run)[0]


def second_time(action):
    """Return a function that does something when it is called for the second time: the folder is looked at twice."""
    calls = []

    def called():
        calls.append(1)
        if len(calls) == 2:
            action()

    return called


def test_what_vanishes_meanwhile_is_left_out(project, copied, monkeypatch):
    """Before it is looked at, before it is opened, and with the folder that it is in."""
    for name in ("a", "b", "c"):
        (project / name).mkdir()
        (project / name / "file").touch()
    listdir, lstat, opened = os.listdir, os.lstat, os.open
    remove_in_a, remove_c = second_time(lambda: remove("a", "file")), second_time(lambda: remove("c"))

    def remove(*parts):
        path = project.joinpath(*parts)
        if path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def list_and_remove(path):
        names = listdir(path)
        if str(path).endswith("/a"):
            remove_in_a()
        return names

    def look_and_remove(path, **options):
        found = lstat(path, **options)
        if not options and str(path).endswith("project/c"):
            remove_c()
        return found

    def remove_and_open(path, *rest, **options):
        if str(path).endswith("/b/file"):
            remove("b", "file")
        return opened(path, *rest, **options)

    monkeypatch.setattr(folder_copy.os, "listdir", list_and_remove)
    monkeypatch.setattr(folder_copy.os, "lstat", look_and_remove)
    monkeypatch.setattr(folder_copy.os, "open", remove_and_open)
    copy = copied()
    monkeypatch.undo()
    assert {str(path.relative_to(copy)) for path in copy.rglob("*")} == {"src", "src/data.txt", "a", "b", "c"}


@pytest.mark.parametrize("becomes", ["link", "pipe"])
def test_a_file_that_becomes_something_else_meanwhile_is_left_out(project, copied, monkeypatch, tmp_path, becomes):
    (tmp_path / "secret").write_text("secret")
    path, lstat = project / "src" / "data.txt", os.lstat

    def replace():
        path.unlink()
        path.symlink_to(tmp_path / "secret") if becomes == "link" else os.mkfifo(path)

    replace_it = second_time(replace)

    def look_and_replace(looked_at):
        found = lstat(looked_at)
        if looked_at == path:
            replace_it()
        return found

    monkeypatch.setattr(folder_copy.os, "lstat", look_and_replace)
    assert os.listdir(copied() / "src") == []


def test_a_file_that_grows_meanwhile_is_copied_as_long_as_it_was(project, copied, monkeypatch):
    fstat = os.fstat

    def look_and_append(descriptor):
        found = fstat(descriptor)
        with open(project / "src" / "data.txt", "a") as file:
            file.write("more\n" * 1000)
        return found

    monkeypatch.setattr(folder_copy.os, "fstat", look_and_append)
    assert (copied() / "src" / "data.txt").read_text() == "data\n"


def test_sockets_pipes_and_devices_are_left_out_and_the_log_names_them(bench, project, monkeypatch):
    os.mkfifo(project / "src" / "pipe")
    os.mkfifo(os.fsencode(project / "src") + b"/p\xff")
    monkeypatch.chdir(project)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("agent")
        run = bench.done("ls . src", workspaceUrl=str(project))
    row, *listed = bench.rows(run)
    assert row == "Left out of the workspace, because they are sockets, pipes or devices: agent, src/pipe, src/p?"
    assert listed == [".:", "src", "", "src:", "data.txt"]


@only_root
def test_devices_are_left_out(project, copied, remarks):
    os.mknod(project / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert names_in(copied()) == ["src", "src/data.txt"]
    assert remarks[0].endswith(": null")


def test_names_that_are_not_utf8_are_kept(project, copied):
    name = os.fsdecode(b"gr\xf6\xdfe")
    (project / name).mkdir()
    (project / name / name).write_text("x")
    assert (copied() / name / name).read_text() == "x"


@pytest.mark.parametrize(
    ("path", "mode"), [("src/data.txt", 0), ("src", 0), ("src", 0o600), ("src", 0o300), ("src/.gitignore", 0)]
)
def test_what_may_not_be_read_is_named(project, tmp_path, path, mode):
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    if path.endswith(".gitignore"):
        (project / path).touch()
    (project / path).chmod(mode)
    target = tmp_path / "copy"
    target.mkdir()
    target.chmod(0o777)

    def copy():
        with pytest.raises(SetupError, match=r"cannot be read: .*Make them readable .* or name them in") as caught:
            copy_folder(project, target, tmp_path / "left out", print)
        assert f"/{path}" in str(caught.value)

    as_nobody(copy)


def test_all_files_that_may_not_be_read_are_named_at_once(project, tmp_path):
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    for name in ("a", "b", "c"):
        (project / name).touch(0o000 if name != "b" else 0o644)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy").chmod(0o777)

    def copy():
        with pytest.raises(SetupError, match=f"cannot be read: {project}/a, {project}/c. Make"):
            copy_folder(project, tmp_path / "copy", tmp_path / "left out", print)

    as_nobody(copy)


def test_the_copy_of_a_read_only_folder_can_be_written_and_has_no_special_rights(project, copied):
    (project / "tool").write_text("#!/bin/sh\n")
    for path, mode in (("src/data.txt", 0o444), ("tool", 0o6555), ("src", 0o555), ("", 0o555)):
        (project / path).chmod(mode)
    copy = copied()
    modes = {path: stat.S_IMODE((copy / path).stat().st_mode) for path in ("src", "src/data.txt", "tool")}
    assert modes == {"src": 0o755, "src/data.txt": 0o644, "tool": 0o755}
    assert copy.stat().st_mode & 0o700 == 0o700


def test_times_are_kept(project, copied):
    os.utime(project / "src" / "data.txt", (1, 2))
    os.utime(project / "src", (3, 4))
    copy = copied()
    assert [(copy / path).stat().st_mtime for path in ("src/data.txt", "src")] == [2, 4]


MIB = 2**20


def test_a_folder_may_be_larger_than_an_archive_and_holes_take_no_space(project, copied):
    with (project / "huge").open("wb") as file:
        file.write(b"start")
        file.seek(5 * 1024**3)
        file.write(b"end")
        file.truncate(6 * 1024**3)
    with (project / "hole").open("wb") as file:
        file.truncate(MIB)
    (project / "empty").touch()
    (project / "whole").write_bytes(b"x" * (3 * MIB + 1))
    copy = copied()
    found = (copy / "huge").stat()
    assert (found.st_size, found.st_blocks * 512 < MIB) == (6 * 1024**3, True)
    with (copy / "huge").open("rb") as file:
        assert file.read(6) == b"start\0"
        file.seek(5 * 1024**3)
        assert file.read(4) == b"end\0"
    assert (copy / "hole").read_bytes() == bytes(MIB)
    assert (copy / "empty").read_bytes() == b""
    assert (copy / "whole").read_bytes() == b"x" * (3 * MIB + 1)


@pytest.fixture
def full_disk(monkeypatch):
    """Have only one MiB free on every disk."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2 * MIB, MIB, MIB))


def fill(project):
    for name, size in (("large", 700 * 1024), ("small", 100 * 1024), ("larger", 800 * 1024)):
        (project / name).write_bytes(os.urandom(size))


def refuse_clones(*arguments):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.usefixtures("full_disk")
def test_a_folder_that_the_disk_has_no_room_for_is_refused_before_it_is_copied(project, tmp_path, copied, monkeypatch):
    monkeypatch.setattr(fcntl, "ioctl", refuse_clones)
    fill(project)
    with pytest.raises(SetupError) as caught:
        copied()
    assert str(caught.value) == (
        f"The workspace {project} needs 1.6 MiB, and the disk of the runs has 1.0 MiB free. Its largest files are "
        "larger (0.8 MiB), large (0.7 MiB), small (0.1 MiB): name in .gradientignore what a run does not need, or give "
        "commands its path"
    )
    assert sum(path.stat().st_size for path in tmp_path.joinpath("runs").rglob("*") if path.is_file()) == 0
    (project / ".gradientignore").write_text("large\n")
    shutil.rmtree(tmp_path / "runs")
    assert names_in(copied()) == [".gradientignore", "larger", "small", "src", "src/data.txt"]


@pytest.mark.usefixtures("full_disk")
def test_clones_need_no_room(project, copied, monkeypatch):
    """The file systems of Linux that can clone are seldom those of tests: a copy stands for the clone."""

    def clone(target, request, source):
        assert request == 0x40049409
        os.pwrite(target, os.pread(source, 9 * MIB, 0), 0)

    monkeypatch.setattr(fcntl, "ioctl", clone)
    fill(project)
    copy = copied()
    assert all((copy / name).read_bytes() == (project / name).read_bytes() for name in ("large", "small", "larger"))
    (copy / "small").write_bytes(b"of the run")
    assert (project / "small").stat().st_size == 100 * 1024


def test_a_copy_that_takes_long_says_how_far_it_is(project, copied, remarks, monkeypatch):
    monkeypatch.setattr(fcntl, "ioctl", refuse_clones)
    monkeypatch.setattr(folder_copy, "_FIRST_ROW", 0)
    (project / "large").write_bytes(b"x" * 3 * MIB)
    copied()
    assert remarks == [f"Copying {project}: 1.0 MiB of 3.0 MiB"]
