"""Which files of a folder belong to a workspace."""

import os
import subprocess

import pytest

from gradient_ext.workspace_files import workspace_files


def make(folder, *paths):
    """Make files, and folders for names that end in a slash."""
    for path in paths:
        target = folder / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.touch()


def write(folder, path, *lines):
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


def found(folder, ignore_files=()):
    return [each.path for each in workspace_files(folder, ignore_files)]


def test_files_come_in_order_and_each_folder_before_what_is_in_it(tmp_path):
    make(tmp_path, "train.py", "lib/b.py", "lib/a.py", "lib/deep/c.py", "empty/", "lib.py")
    assert found(tmp_path) == [
        *("empty", "lib", "lib.py", "train.py"),
        *("lib/a.py", "lib/b.py", "lib/deep", "lib/deep/c.py"),
    ]


def test_repositories_environments_caches_and_packages_of_node_are_left_out(tmp_path):
    make(tmp_path, ".git/HEAD", ".venv/bin/python", "a/__pycache__/x.pyc", "web/node_modules/x/y.js", "a/train.py")
    assert found(tmp_path) == ["a", "web", "a/train.py"]


def test_what_is_left_out_by_default_is_taken_back_by_patterns_for_workspaces_and_not_by_those_for_git(tmp_path):
    make(tmp_path, "node_modules/x.js", "x/__pycache__/y.pyc")
    write(tmp_path, ".gitignore", "*", "!*/", "!*.js", "!*.pyc")
    assert found(tmp_path) == ["x"]
    write(tmp_path, ".gradientignore", "!node_modules")
    assert found(tmp_path) == ["node_modules", "x", "node_modules/x.js"]
    assert found(tmp_path, ["node_modules", "!__pycache__"]) == ["x", "x/__pycache__", "x/__pycache__/y.pyc"]


def test_patterns_of_the_call_take_precedence_over_those_in_the_folder(tmp_path):
    make(tmp_path, "data/a.csv", "data/b.csv", "x/keep.log")
    write(tmp_path, "x/.gitignore", "!b.csv", "*.log")
    assert found(tmp_path, ["data/b.csv", "!*.log", ".gitignore"]) == ["data", "x", "data/a.csv", "x/keep.log"]


def test_links_are_found_and_not_followed(tmp_path):
    make(tmp_path, "folder/", "outside/secret")
    (tmp_path / "folder" / "link").symlink_to("../outside")
    (tmp_path / "folder" / "dangling").symlink_to("nowhere")
    assert found(tmp_path / "folder") == ["dangling", "link"]


def test_the_top_may_be_a_link(tmp_path):
    make(tmp_path, "folder/train.py")
    (tmp_path / "link").symlink_to("folder")
    assert found(tmp_path / "link") == ["train.py"]


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        found(tmp_path / "missing")
    assert os.fspath(caught.value.filename) == str(tmp_path / "missing")


def test_what_vanishes_meanwhile_is_left_out(tmp_path):
    make(tmp_path, "a.py", "b.py", "z/c.py")
    files = workspace_files(tmp_path)
    assert next(files).path == "a.py"
    (tmp_path / "b.py").unlink()
    assert next(files).path == "z"
    (tmp_path / "z" / "c.py").unlink()
    (tmp_path / "z").rmdir()
    assert list(files) == []


@pytest.mark.parametrize(
    "lines",
    [
        ["*.log", "!keep.log"],
        ["build/", "/top", "lib/*.so"],
        ["foo/*", "!foo/keep.txt"],
        ["foo/**", "!foo/keep.txt"],
        ["foo/", "!foo/keep.txt"],  # what is in an ignored folder cannot be taken back
        ["**/deep", "a/**/b.txt"],
        ["# a comment", "\\#name", "\\!name", "spaces ", "trailing\\ "],
        ["!", "*.tm[p", "a\\", "/", "", "[a-c].txt", "x?.txt"],
        ["*", "!*/", "!*.py"],
    ],
)
def test_patterns_mean_what_they_mean_to_git(tmp_path, lines):
    make(
        tmp_path,
        *("a.txt", "d.txt", "x1.txt", "keep.log", "other.log", "#name", "!name", "spaces", "trailing ", "run.py"),
        *("foo/keep.txt", "foo/other.txt", "foo/sub/keep.txt", "lib/x.so", "lib/sub/x.so", "lib/run.py"),
        *("build/out", "lib/build/out", "top", "lib/top", "a/1/2/b.txt", "a/b.txt", "lib/deep/x", "x.tm[p", "b.tmp"),
    )
    write(tmp_path, ".gitignore", *lines)
    write(tmp_path, "lib/.gitignore", "!x.so", "run.py")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", tmp_path, "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [path for path in found(tmp_path) if not (tmp_path / path).is_dir()]
    assert sorted(files) == sorted(filter(None, listed))
