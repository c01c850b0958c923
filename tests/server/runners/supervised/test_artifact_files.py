"""The files that a run has written, as clients get them: all of them, and nothing else."""

import contextlib
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.supervised.artifact_files import ArtifactFolder, list_artifacts, open_artifact, wire_name


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "workspace" / "out"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def folders(folder):
    return [ArtifactFolder("artifacts", folder.parent, "out")]


def names(folders, after="", limit=1000):
    return [found.name for found in list_artifacts(folders, after, limit)]


def content(folders, name):
    reader = open_artifact(folders, name)
    if reader is None:
        return None
    try:
        return reader.read(0, 1000)
    finally:
        reader.close()


def write(path, text="text"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_are_listed_in_the_order_of_the_parts_of_their_names_with_size_and_time(folder, folders):
    for name in ("b.txt", "a/z.txt", "a.txt", "a/b/c.txt"):
        write(folder / name)
    os.utime(folder / "b.txt", (5, 5))
    found = list_artifacts(folders, "", 1000)
    assert [each.name for each in found] == [f"artifacts/{name}" for name in ("a/b/c.txt", "a/z.txt", "a.txt", "b.txt")]
    assert (found[-1].size, found[-1].modified) == (4, 5)


@given(st.lists(st.lists(st.sampled_from(["a", "a.b", "a-b", "b", "é"]), min_size=1, max_size=3), max_size=12))
def test_pages_have_every_file_once(tmp_path_factory, paths):
    root = tmp_path_factory.mktemp("artifacts")
    for parts in paths:
        path = root.joinpath(*parts[:-1], f"{parts[-1]}.txt")
        write(path)
    folders = [ArtifactFolder("artifacts", root, "."), ArtifactFolder("model", root, ".")]
    everything, paged = names(folders), []
    while page := names(folders, paged[-1] if paged else "", 2):
        paged += page
    assert paged == everything
    assert len(set(everything)) == len(everything) == 2 * len({tuple(parts) for parts in paths})


def test_a_page_goes_on_after_a_file_that_has_been_removed(folder, folders):
    for name in ("a", "c"):
        write(folder / name)
    assert names(folders, "artifacts/b") == ["artifacts/c"]


@pytest.mark.parametrize("raw", [b"\xff.pt", b"new\nline", b"back\\slash", b"a%b\x01", "é ü%20?&#".encode(), b"%41"])
def test_a_file_can_be_read_by_the_name_that_is_listed_whatever_its_name_is(folder, folders, raw):
    (folder / os.fsdecode(raw)).write_text("found")
    (name,) = names(folders)
    name.encode()  # can be sent
    assert not any(ord(character) < 32 or character == "\\" for character in name)
    assert content(folders, name) == b"found"


def test_only_names_that_text_cannot_carry_are_escaped():
    assert wire_name("hour=2024-01-01 00%3A00") == "hour=2024-01-01 00%3A00"
    assert wire_name(os.fsdecode(b"\xff%")) == "%FF%25"


def test_links_pipes_and_what_is_not_there_are_no_artifacts(folder, folders, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    write(secret / "key", "secret")
    (folder / "key").symlink_to(secret / "key")
    (folder / "relative").symlink_to("../../secret/key")
    (folder / "folder").symlink_to(secret)
    (folder / "itself").symlink_to("itself")
    os.mkfifo(folder / "pipe")
    assert names(folders) == []
    for name in (
        "key",
        "relative",
        "folder/key",
        "itself",
        "pipe",
        "none",
        "",
        ".",
        "..",
        "../../secret/key",
        "/",
        "\0",
    ):
        assert content(folders, f"artifacts/{name}") is None
    for name in ("", "artifacts", "other/key", f"artifacts/{secret}/key"):
        assert content(folders, name) is None


def test_a_link_to_another_artifact_is_read_as_that(folder, folders):
    write(folder / "steps" / "10.pt", "weights")
    (folder / "last.pt").symlink_to("steps/10.pt")
    (folder / "steps" / "best.pt").symlink_to("10.pt")
    assert names(folders) == ["artifacts/last.pt", "artifacts/steps/10.pt", "artifacts/steps/best.pt"]
    assert {content(folders, name) for name in names(folders)} == {b"weights"}


@pytest.mark.parametrize("target", ["../..", "/", "../../secret"])
def test_a_folder_that_has_become_a_link_out_of_the_workspace_has_no_artifacts(folder, folders, tmp_path, target):
    write(tmp_path / "secret" / "key")
    folder.rmdir()
    folder.symlink_to(target)
    assert names(folders) == []
    assert content(folders, "artifacts/secret/key") is content(folders, "artifacts/key") is None


def test_the_version_changes_with_the_content(folder, folders):
    write(folder / "a", "one")
    reader = open_artifact(folders, "artifacts/a")
    before = reader.artifact().version
    assert list_artifacts(folders, "", 1)[0].version == before
    with (folder / "a").open("a") as file:
        file.write("more")
    assert reader.artifact().version != before
    reader.close()


def test_a_file_that_has_just_changed_is_read_when_another_change_would_be_noticed(folder, folders):
    """The clocks of file systems tick every few milliseconds: two writes within a tick would have the same version."""
    (folder / "a").write_text("one")
    with contextlib.closing(open_artifact(folders, "artifacts/a")):
        assert time.time() - (folder / "a").stat().st_ctime > 0.019


def test_reading_leaves_no_file_open(folder, folders):
    write(folder / "a" / "b" / "c")
    (folder / "link").symlink_to("a/b/c")
    (folder / "out").symlink_to("/etc/passwd")
    before = len(os.listdir("/dev/fd"))
    for name in ("a/b/c", "link", "out", "none/x", "a/none", "../x"):
        content(folders, f"artifacts/{name}")
    names(folders)
    list_artifacts(folders, "", 1)
    assert len(os.listdir("/dev/fd")) == before
