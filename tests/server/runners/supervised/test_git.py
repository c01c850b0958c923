"""Workspaces from git: any ref that can be fetched, history and tags, submodules, large files; or an error."""

import os
import shutil
import subprocess

import pytest

from gradient_server.runners.supervised.git import clone
from gradient_server.runners.supervised.limits import SetupError

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
    folder = make_repository(tmp_path / "repository")
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
        assert (cloned(repository, ref) / "version").read_text() == "repository\n"


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
    with pytest.raises(SetupError, match=r"empty\.git has no branch, tag or commit 'main'.*it has no branch at all"):
        cloned(tmp_path / "empty.git", "main")


def test_the_error_of_a_ref_that_does_not_exist_names_the_branches(repository, cloned):
    for number in range(10):
        git(repository, "branch", f"b{number}")
    with pytest.raises(SetupError, match=r"no branch, tag or commit 'b', .*; it has b0, b1, .*, b9, \.\.\.$"):
        cloned(repository, "b")


def make_repository(folder, **submodules):
    """Make a repository with submodules by these relative URLs, and a commit."""
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, url in submodules.items():
        git(folder, "submodule", "--quiet", "add", url, name)
    commit(folder, folder.name)
    return folder


def test_submodules_are_there_with_their_own(tmp_path, repository, cloned, remarks):
    make_repository(tmp_path / "inner")
    make_repository(tmp_path / "outer", inner="../inner")
    git(repository, "submodule", "--quiet", "add", str(tmp_path / "outer"), "outer")
    commit(repository, "with submodule")
    for ref in (None, git(repository, "rev-parse", "main")):
        folder = cloned(repository, ref)
        assert (folder / "outer" / "inner" / "version").read_text() == "inner\n"
    assert remarks == []


def test_submodules_have_their_history_without_the_files_of_old_commits(tmp_path, cloned):
    library = make_repository(tmp_path / "library")
    git(library, "config", "uploadpack.allowFilter", "true")
    commit(library, "later")
    folder = cloned(make_repository(tmp_path / "main", library="../library")) / "library"
    assert git(folder, "log", "--format=%s") == "later\nlibrary"
    missing = git(folder, "rev-list", "--objects", "--missing=print", "HEAD").count("?")
    assert missing == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [("{tmp}/gone", "gone"), ("https://bob:secret@127.0.0.1:1/x.git", "127.0.0.1"), ("ext::sh -c touch% {tmp}/x", "")],
    ids=["gone", "refused", "ext"],
)
def test_a_submodule_that_cannot_be_fetched_is_an_error(tmp_path, repository, cloned, monkeypatch, url, reason):
    """What it names is not executed, even if the user allows that."""
    (tmp_path / "gitconfig").write_text('[protocol "ext"]\n allow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    git(repository, "submodule", "--quiet", "add", str(make_repository(tmp_path / "gone")), "part")
    git(repository, "config", "--file", ".gitmodules", "submodule.part.url", url.format(tmp=tmp_path))
    commit(repository, "with submodule")
    (tmp_path / "gone").rename(tmp_path / "away")
    with pytest.raises(SetupError) as caught:
        cloned(repository)
    error = str(caught.value)
    assert error.startswith(f"The submodules of the workspace {repository.as_uri()} cannot be fetched: ")
    assert reason in error
    assert "Failed to clone 'part'" in error
    assert "secret" not in error
    assert not (tmp_path / "x").exists()
    git(repository, "config", "--file", ".gitmodules", "submodule.part.update", "none")
    commit(repository, "without submodule")
    assert os.listdir(cloned(repository) / "part") == []


def test_a_repository_from_elsewhere_cannot_name_folders_of_this_machine(tmp_path, repository, cloned, monkeypatch):
    git(repository, "submodule", "--quiet", "add", str(make_repository(tmp_path / "private")), "part")
    commit(repository, "with submodule")
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nexec git-upload-pack {repository}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SetupError, match="transport 'file' not allowed"):
        cloned("git@example.org:x.git")


@pytest.fixture
def with_large_files(repository):
    """A repository with two pointers, one of them in a submodule, and files that are none."""
    for folder in (make_repository(repository.parent / "library"), repository):
        (folder / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
        (folder / "a.bin").write_text(POINTER)
        (folder / "b.bin").write_text("no pointer")
        (folder / "pointer.txt").write_text(POINTER)
        commit(folder, "with large files")
    git(repository, "submodule", "--quiet", "add", str(repository.parent / "library"), "lib ü")
    commit(repository, "with submodule")
    return repository


@pytest.fixture(autouse=True)
def without_git_settings(tmp_path, monkeypatch):
    """Configure nothing for git, as if `git lfs install` was never run."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


def test_files_in_git_lfs_need_git_lfs(with_large_files, cloned, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name != "git-lfs":
                (tmp_path / "bin" / name).unlink(missing_ok=True)
                (tmp_path / "bin" / name).symlink_to(os.path.join(folder, name))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(
        SetupError, match=r"git-lfs is not installed on this machine; install it for a\.bin, lib ü/a\.bin$"
    ):
        cloned(with_large_files)


@pytest.fixture
def large_files(tmp_path, monkeypatch):
    """A repository with a large file in the real Git LFS, and one in a submodule."""
    if not shutil.which("git-lfs"):
        pytest.skip("needs git-lfs")
    with monkeypatch.context() as context:
        for index, (name, value) in enumerate([("process", "git-lfs filter-process"), ("required", "true")]):
            context.setenv(f"GIT_CONFIG_KEY_{index}", f"filter.lfs.{name}")
            context.setenv(f"GIT_CONFIG_VALUE_{index}", value)
        context.setenv("GIT_CONFIG_COUNT", "2")
        library, main = make_repository(tmp_path / "library"), make_repository(tmp_path / "main")
        for folder in (library, main):
            (folder / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
            (folder / "a.bin").write_text("large")
            commit(folder, "with a large file")
        git(main, "submodule", "--quiet", "add", "../library", "library")
        commit(main, "with submodule")
    assert git(main, "show", "HEAD:a.bin").startswith("version https://git-lfs")
    return main


def test_git_lfs_fetches_large_files_also_if_it_was_never_set_up(large_files, cloned, remarks):
    for ref in (None, git(large_files, "rev-parse", "HEAD")):
        folder = cloned(large_files, ref)
        assert [(folder / name).read_text() for name in ("a.bin", "library/a.bin")] == ["large", "large"]
    assert remarks == []


def test_a_large_file_that_is_not_there_is_an_error_with_its_name(large_files, cloned):
    shutil.rmtree(large_files / ".git" / "lfs")
    with pytest.raises(SetupError, match=r"a\.bin: smudge filter lfs failed"):
        cloned(large_files)


def test_large_files_that_the_repository_keeps_from_being_fetched_are_remarked_on(large_files, cloned, remarks):
    (large_files / ".lfsconfig").write_text("[lfs]\nfetchexclude = *\n")
    git(large_files, "add", ".lfsconfig")
    git(large_files, "commit", "--quiet", "--message", "with .lfsconfig")
    cloned(large_files)
    assert remarks == ["The settings of the repository keep files in Git LFS from being fetched: a.bin"]


def test_fetching_ends_if_there_is_no_byte_for_a_minute(cloned, tmp_path, monkeypatch):
    script = 'echo "fatal: $GIT_HTTP_LOW_SPEED_LIMIT $GIT_HTTP_LOW_SPEED_TIME $GIT_SSH_COMMAND" >&2; exit 1'
    (tmp_path / "git").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SetupError, match=r": 1 60 ssh -oBatchMode=yes -oConnectTimeout=60$"):
        cloned("https://example.org/x.git")
