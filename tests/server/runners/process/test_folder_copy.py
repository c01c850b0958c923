"""Copies of folders: what a run does in its copy, by links and by git as well, leaves the original alone."""

import os
import shutil
import socket
import stat
import subprocess

import pytest

from gradient_server.runners.process import folder_copy
from gradient_server.runners.process.folder_copy import copy_folder
from gradient_server.runners.process.limits import Quota, SetupError
from tests.server.runners.process.test_deletion import as_nobody


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


def commit(folder):
    (folder / "result").write_text("of the run\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "of the run")
    return git(folder, "rev-parse", "HEAD")


def contents_of(folder):
    """Return everything in a folder, but for what git caches when it is only asked."""
    found = {}
    for path in folder.rglob("*"):
        if path.name != "index":
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[path] = (status.st_mode, content)
    return found


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


@pytest.mark.parametrize("place", ["beside", "inside"])
@pytest.mark.parametrize("head", ["branch", "detached"])
def test_commits_in_the_copy_of_a_worktree_are_not_in_the_original(project, copied, tmp_path, place, head):
    main = tmp_path / "main" if place == "beside" else project
    worktree = project if place == "beside" else project / "worktrees" / "w"
    if place == "beside":
        shutil.rmtree(project)
    make_repository(main)
    git(main, "config", "remote.origin.url", "https://example.org/x.git")
    option = ["-b", "work"] if head == "branch" else ["--detach"]
    git(main, "worktree", "add", "--quiet", *option, str(worktree))
    (worktree / "staged").write_text("staged\n")
    git(worktree, "add", "staged")
    before = contents_of(main / ".git")
    copied_project = copied()
    assert len(git(copied_project, "worktree", "list").splitlines()) == 1
    copy = copied_project / worktree.relative_to(project)
    assert git(copy, "status", "--porcelain") == "A  staged"
    assert git(copy, "log", "--format=%s") == "first"
    assert git(copy, "branch", "--show-current") == ("work" if head == "branch" else "")
    assert git(copy, "remote", "get-url", "origin") == "https://example.org/x.git"
    assert git(copy, "rev-parse", "--show-toplevel") == str(copy)
    assert len(git(copy, "worktree", "list").splitlines()) == 1
    made = commit(copy)
    git(copy, "branch", "--force", "main")
    git(copy, "gc", "--quiet")
    assert contents_of(main / ".git") == before
    assert git(worktree, "status", "--porcelain") == "A  staged"
    assert subprocess.run(["git", "cat-file", "-e", made], cwd=main, capture_output=True, check=False).returncode != 0


def test_a_worktree_of_a_bare_repository_has_a_work_tree_in_the_copy(project, copied, tmp_path):
    make_repository(tmp_path / "main")
    git(tmp_path, "clone", "--quiet", "--bare", "main", "bare.git")
    shutil.rmtree(project)
    git(tmp_path / "bare.git", "worktree", "add", "--quiet", "-b", "work", str(project))
    copy = copied()
    assert git(copy, "status", "--porcelain") == ""
    before = contents_of(tmp_path / "bare.git")
    commit(copy)
    assert contents_of(tmp_path / "bare.git") == before


@pytest.mark.parametrize("whole", [True, False], ids=["with the repository above", "alone"])
def test_commits_in_the_copy_of_a_submodule_are_not_in_the_original(project, copied, tmp_path, whole):
    make_repository(tmp_path / "library")
    make_repository(project)
    git(project, "submodule", "--quiet", "add", str(tmp_path / "library"), "library")
    git(project, "commit", "--quiet", "--message", "with library")
    before = contents_of(project)
    copy = copied() / "library" if whole else copied(project / "library")
    assert git(copy, "rev-parse", "--show-toplevel") == str(copy)
    commit(copy)
    assert contents_of(project) == before


@pytest.mark.parametrize("kind", ["file", "link", "links in it", "commondir", "absolute file", "work tree"])
def test_commits_in_the_copy_are_not_in_a_repository_that_is_elsewhere(project, copied, tmp_path, kind):
    make_repository(project)
    elsewhere = tmp_path / "elsewhere"
    dot_git = project / ".git"
    if kind in ("file", "link"):
        dot_git.rename(elsewhere)
        if kind == "file":
            dot_git.write_text("gitdir: ../elsewhere\n")
        else:
            dot_git.symlink_to(elsewhere)
    elif kind == "absolute file":
        dot_git.rename(project / "repository")
        dot_git.write_text(f"gitdir: {project}/repository\n")
    elif kind == "work tree":
        git(project, "config", "core.worktree", str(project))
    else:
        shutil.copytree(dot_git, elsewhere)
        for name in ("refs", "objects", "config"):
            shutil.rmtree(dot_git / name) if (dot_git / name).is_dir() else (dot_git / name).unlink()
            if kind == "links in it":
                (dot_git / name).symlink_to(elsewhere / name)
        if kind == "commondir":
            (dot_git / "commondir").write_text(f"{elsewhere}\n")
    before = contents_of(tmp_path)
    copy = copied()
    assert git(copy, "rev-parse", "--show-toplevel") == str(copy)
    commit(copy)
    git(copy, "checkout", "--quiet", "HEAD~", "--", ".")
    assert contents_of(tmp_path).items() >= before.items()


def test_objects_that_are_borrowed_by_a_relative_path_are_found_from_the_copy(project, copied, tmp_path):
    make_repository(tmp_path / "lender")
    shutil.rmtree(project)
    git(tmp_path, "clone", "--quiet", "--shared", "lender", "project")
    (project / ".git" / "objects" / "info" / "alternates").write_text("../../../lender/.git/objects\n")
    copy = copied()
    assert git(copy, "log", "--format=%s") == "first"
    before = contents_of(tmp_path / "lender")
    commit(copy)
    git(copy, "gc", "--quiet")
    assert contents_of(tmp_path / "lender") == before


def test_a_repository_that_is_gone_and_one_in_an_unknown_format_do_no_harm(project, copied, tmp_path):
    (project / ".git").write_text("gitdir: /no/such/repository\n")
    assert (copied() / ".git").read_text() == "gitdir: /no/such/repository\n"
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "elsewhere" / "reftable").mkdir(parents=True)
    (project / ".git").write_text("gitdir: ../elsewhere\n")
    with pytest.raises(SetupError, match=r"reftable.*set workspaceRef"):
        copied()


def test_git_in_a_run_does_not_find_the_repository_that_the_runs_are_in(make_bench, tmp_path):
    """For example because the store is in a project."""
    make_repository(tmp_path / "project")
    bench = make_bench(tmp_path / "project" / "runs")
    run = bench.done("git rev-parse --git-dir")
    assert bench.outcome(run)[0] == "failed"
    assert "not a git repository" in bench.rows(run)[0]


def test_what_vanishes_meanwhile_is_left_out(project, copied, monkeypatch):
    """Before it is looked at, before it is opened, and with the folder that it is in."""
    for name in ("a", "b", "c"):
        (project / name).mkdir()
        (project / name / "file").touch()
    listdir, lstat, opened = os.listdir, os.lstat, os.open

    def remove(*parts):
        path = project.joinpath(*parts)
        if path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def list_and_remove(path):
        names = listdir(path)
        if str(path).endswith("/a"):
            remove("a", "file")
        return names

    def look_and_remove(path, **options):
        found = lstat(path, **options)
        if not options and str(path).endswith("project/c"):
            remove("c")
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
    lstat = os.lstat

    def look_and_replace(path):
        found = lstat(path)
        if str(path).endswith("data.txt") and stat.S_ISREG(found.st_mode):
            path.unlink()
            path.symlink_to(tmp_path / "secret") if becomes == "link" else os.mkfifo(path)
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


def test_sockets_are_left_out_with_a_remark(project, copied, remarks, monkeypatch):
    (project / ".git").mkdir()
    monkeypatch.chdir(project)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(".git/fsmonitor--daemon.ipc")
        copy = copied()
    assert os.listdir(copy / ".git") == []
    (remark,) = remarks
    assert "without the 1 sockets of the folder, such as .git/fsmonitor--daemon.ipc" in remark


def test_the_remark_is_in_the_log_of_the_run(bench, project, monkeypatch):
    monkeypatch.chdir(project)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("agent")
        run = bench.done("ls", workspaceUrl=str(project))
    assert bench.rows(run) == ["The workspace is a copy without the 1 sockets of the folder, such as agent", "src"]


def test_pipes_and_devices_are_refused_by_name(project, copied):
    os.mkfifo(project / "pipe")
    with pytest.raises(SetupError, match=r"project/pipe in the workspace is neither a file nor a folder"):
        copied()


@pytest.mark.parametrize(("path", "mode"), [("src/data.txt", 0), ("src", 0), ("src", 0o600), ("src", 0o300)])
def test_what_may_not_be_read_is_named_with_the_reason(project, tmp_path, path, mode):
    for above in (tmp_path, *tmp_path.parents[:3]):
        above.chmod(above.stat().st_mode | 0o011)
    (project / path).chmod(mode)
    target = tmp_path / "copy"
    target.mkdir()
    target.chmod(0o777)

    def copy():
        with pytest.raises(SetupError) as caught:
            copy_folder(project, target, tmp_path / "left out", print)
        assert f"/{path}" in str(caught.value)
        assert "in the workspace cannot be read (Permission denied): make it readable" in str(caught.value)

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


def test_a_folder_has_limits_like_an_archive(project, copied, tmp_path, monkeypatch):
    """A file with a hole counts as long as it is."""
    with (project / "huge").open("wb") as file:
        file.truncate(4 * 1024**3 + 1)
    with pytest.raises(SetupError, match="The workspace is larger than 4 GiB"):
        copied()
    shutil.rmtree(tmp_path / "runs")
    (project / "huge").unlink()
    monkeypatch.setattr(folder_copy, "Quota", lambda: Quota(files=1))
    with pytest.raises(SetupError, match="more than 200000 files"):
        copied()
