"""Workspaces from git: any ref that can be fetched, history and tags, submodules; and what is missing is said."""

import os
import shutil
import subprocess

import pytest

from gradient_server.runners.process.git import clone
from gradient_server.runners.process.limits import SetupError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-c", "protocol.file.allow=always", *who, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder, text):
    (folder / "version").write_text(f"{text}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "first")
    git(folder, "tag", "v1")
    commit(folder, "second")
    return folder


@pytest.fixture
def remarks():
    return []


@pytest.fixture
def cloned(tmp_path, remarks):
    count = 0

    def cloned(repository, ref=None):
        nonlocal count
        count += 1
        folder = tmp_path / f"workspace {count}"
        folder.mkdir()
        url = repository if isinstance(repository, str) else repository.as_uri()
        clone(url, ref, None, folder, remarks.append)
        return folder

    return cloned


@pytest.fixture
def hidden(repository):
    """A commit that only the ref of a pull request reaches."""
    git(repository, "checkout", "--quiet", "-b", "work")
    made = commit(repository, "of a pull request")
    git(repository, "update-ref", "refs/pull/1/head", made)
    git(repository, "checkout", "--quiet", "main")
    git(repository, "branch", "--quiet", "-D", "work")
    return made


def test_a_ref_is_what_git_can_fetch(repository, cloned, hidden):
    for ref in ("refs/pull/1/head", "pull/1/head", hidden):
        assert (cloned(repository, ref) / "version").read_text() == "of a pull request\n"
    for ref in ("refs/heads/main", "origin/main", "heads/main", "main"):
        assert (cloned(repository, ref) / "version").read_text() == "second\n"
    for ref in ("refs/tags/v1", "tags/v1", "main~", git(repository, "rev-parse", "--short", "v1")):
        assert (cloned(repository, ref) / "version").read_text() == "first\n"


def test_a_branch_is_checked_out_as_a_branch(repository, cloned):
    assert git(cloned(repository, "main"), "branch", "--show-current") == "main"


def test_history_and_tags_are_there_whatever_the_ref_is(repository, cloned):
    for ref in (None, "main", git(repository, "rev-parse", "main")):
        assert git(cloned(repository, ref), "describe", "--tags").startswith("v1-1-g")


def test_a_default_branch_that_does_not_exist_is_an_error_that_names_the_others(repository, cloned):
    git(repository, "symbolic-ref", "HEAD", "refs/heads/master")
    with pytest.raises(SetupError, match=r"default branch .* does not exist. It has main: name one in workspaceRef"):
        cloned(repository)
    assert (cloned(repository, "main") / "version").read_text() == "second\n"


def test_a_repository_without_a_commit_is_an_error(tmp_path, cloned):
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    with pytest.raises(SetupError, match=r"empty\.git is a git repository without a branch"):
        cloned(tmp_path / "empty.git")
    with pytest.raises(SetupError, match=r"empty\.git has no branch, tag or commit 'main'"):
        cloned(tmp_path / "empty.git", "main")


def test_submodules_are_there_with_their_own(tmp_path, repository, cloned, remarks):
    for name, inner in (("inner", None), ("outer", "inner")):
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "--quiet", "--initial-branch=main")
        if inner:
            git(tmp_path / name, "submodule", "--quiet", "add", f"../{inner}", inner)
        commit(tmp_path / name, name)
    git(repository, "submodule", "--quiet", "add", str(tmp_path / "outer"), "outer")
    commit(repository, "with submodule")
    for ref in (None, git(repository, "rev-parse", "main")):
        folder = cloned(repository, ref)
        assert (folder / "outer" / "inner" / "version").read_text() == "inner\n"
    assert remarks == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [("{tmp}/gone", "gone"), ("https://bob:secret@127.0.0.1:1/x.git", "127.0.0.1"), ("ext::sh -c touch% {tmp}/x", "")],
    ids=["gone", "refused", "ext"],
)
def test_a_submodule_that_cannot_be_fetched_is_remarked_on(
    tmp_path, repository, cloned, remarks, monkeypatch, url, reason
):
    """What it names is not executed, even if the user allows that."""
    (tmp_path / "gitconfig").write_text('[protocol "ext"]\n allow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gone").mkdir()
    git(tmp_path / "gone", "init", "--quiet", "--initial-branch=main")
    commit(tmp_path / "gone", "x")
    git(repository, "submodule", "--quiet", "add", str(tmp_path / "gone"), "part")
    git(repository, "config", "--file", ".gitmodules", "submodule.part.url", url.format(tmp=tmp_path))
    commit(repository, "with submodule")
    (tmp_path / "gone").rename(tmp_path / "away")
    folder = cloned(repository)
    assert (folder / "version").read_text() == "with submodule\n"
    (remark,) = remarks
    assert remark.startswith(f"The submodules of the workspace {repository.as_uri()} are missing or incomplete: ")
    assert reason in remark
    assert "secret" not in remark
    assert not (tmp_path / "x").exists()


def test_a_repository_from_elsewhere_cannot_name_folders_of_this_machine(
    tmp_path, repository, cloned, remarks, monkeypatch
):
    (tmp_path / "private").mkdir()
    git(tmp_path / "private", "init", "--quiet", "--initial-branch=main")
    commit(tmp_path / "private", "private")
    git(repository, "submodule", "--quiet", "add", str(tmp_path / "private"), "part")
    commit(repository, "with submodule")
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nexec git-upload-pack {repository}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    folder = cloned("git@example.org:x.git")
    assert os.listdir(folder / "part") == []
    assert "transport 'file' not allowed" in remarks[0]


@pytest.fixture
def with_large_files(repository):
    (repository / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (repository / "a.bin").write_text(POINTER)
    (repository / "b.bin").write_text("no pointer")
    (repository / "pointer.txt").write_text(POINTER)
    commit(repository, "with large files")
    return repository


@pytest.fixture
def without_git_settings(tmp_path, monkeypatch):
    """Configure nothing for git, as if git-lfs was never installed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


@pytest.mark.skipif(shutil.which("git-lfs") is not None, reason="git-lfs is installed")
@pytest.mark.usefixtures("without_git_settings")
def test_files_in_git_lfs_need_git_lfs(with_large_files, cloned):
    with pytest.raises(SetupError, match=r"files in Git LFS, such as a\.bin, and git-lfs is not installed"):
        cloned(with_large_files)


@pytest.mark.usefixtures("without_git_settings")
def test_pointers_of_git_lfs_are_remarked_on_if_they_are_not_to_be_fetched(
    with_large_files, cloned, remarks, tmp_path, monkeypatch
):
    (tmp_path / "git-lfs").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    cloned(with_large_files)
    (remark,) = remarks
    assert remark.startswith("Of 1 files in Git LFS, such as a.bin, the workspace has only the pointers: run `git lfs")


def test_fetching_ends_if_there_is_no_byte_for_a_minute(cloned, tmp_path, monkeypatch):
    script = 'echo "fatal: $GIT_HTTP_LOW_SPEED_LIMIT $GIT_HTTP_LOW_SPEED_TIME $GIT_SSH_COMMAND" >&2; exit 1'
    (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SetupError, match=r": 1 60 ssh -oBatchMode=yes -oConnectTimeout=60$"):
        cloned("https://example.org/x.git")
