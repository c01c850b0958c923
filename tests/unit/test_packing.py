"""Folders and archives as parts to upload."""

import io
import os
import random
import socket
import stat
import tarfile
import zipfile

import pytest

from gradient import InvalidParametersError, WorkspaceError
from gradient_ext import packing
from gradient_ext.packing import Package, checked_source

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path):
    """A folder with something of every kind that is uploaded."""
    top = tmp_path / "project"
    (top / "lib" / "empty").mkdir(parents=True)
    (top / "train.sh").write_text("echo trained\n")
    (top / "train.sh").chmod(0o755)
    (top / "lib" / "data.txt").write_text("data\n")
    (top / "lib" / "link.txt").symlink_to("../train.sh")
    (top / "absolute.txt").symlink_to(top / "lib" / "data.txt")
    return top


def package(path, ignore_files=None):
    return Package(checked_source(path, ignore_files, "test()"))


def parts_of(path, ignore_files=None):
    return list(package(path, ignore_files).parts())


def entries_of(path):
    """The entries of the tar file that a folder becomes, by name."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts_of(path)))) as opened:
        return {entry.name: opened.extractfile(entry).read() if entry.isreg() else entry.linkname for entry in opened}


def write_files(top, sizes):
    """Write files of random content, which is always the same."""
    random_bytes = random.Random(7).randbytes
    for name, size in sizes.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(random_bytes(size))


def test_files_folders_and_links_are_packed(folder):
    assert entries_of(folder) == {
        "absolute.txt": "lib/data.txt",
        "lib": "",
        "lib/data.txt": b"data\n",
        "lib/empty": "",
        "lib/link.txt": "../train.sh",
        "train.sh": b"echo trained\n",
    }


def test_the_right_to_execute_is_packed_and_times_owners_and_other_rights_are_not(folder):
    before = parts_of(folder)
    os.utime(folder / "train.sh", (1, 1))
    (folder / "lib").chmod(0o700)
    (folder / "lib" / "data.txt").chmod(0o600)
    assert parts_of(folder) == before
    (folder / "lib" / "data.txt").chmod(0o700)
    assert parts_of(folder) != before


@pytest.mark.parametrize("name", [b"back\\slash.txt", b"\xff\xfe", "données.txt".encode(), b"x" * 250, b"NUL", b"-"])
def test_names_are_packed_as_they_are(tmp_path, name):
    (tmp_path / os.fsdecode(name)).write_bytes(b"content")
    assert {os.fsencode(found): content for found, content in entries_of(tmp_path).items()} == {name: b"content"}


def test_sockets_and_pipes_are_left_out(folder):
    before = parts_of(folder)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        assert parts_of(folder) == before


def test_ignored_files_are_left_out(folder):
    (folder / ".gitignore").write_text("*.txt\n")
    assert set(entries_of(folder)) == {".gitignore", "lib", "lib/empty", "train.sh"}
    for patterns in ("lib, *.txt", ["lib", "*.txt"]):
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts_of(folder, patterns)))) as opened:
            assert opened.getnames() == [".gitignore", "train.sh"]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 8 * MIB - 512, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 17 * MIB])
def test_no_part_is_empty_or_larger_than_8_mib_and_all_of_them_are_a_tar_file(tmp_path, size):
    write_files(tmp_path, {"large.bin": size, "z/small.bin": 5})
    parts = parts_of(tmp_path)
    assert all(0 < len(part) <= 8 * MIB for part in parts)
    assert entries_of(tmp_path)["large.bin"] == (tmp_path / "large.bin").read_bytes()
    assert len(entries_of(tmp_path)) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "d07" / "f30.bin").write_bytes(b"changed"),
        lambda top: (top / "d07" / "f30x.bin").write_bytes(b"new"),
        lambda top: (top / "d07" / "f30.bin").unlink(),
        lambda top: (top / "large.bin").write_bytes(b"small"),
    ],
)
def test_a_change_of_one_file_changes_few_parts(tmp_path, change):
    small = {f"d{number // 50:02}/f{number % 50:02}.bin": 20_000 for number in range(1000)}
    write_files(tmp_path, small | {"large.bin": 20 * MIB})
    before = parts_of(tmp_path)
    change(tmp_path)
    new = set(parts_of(tmp_path)) - set(before)
    assert len(before) > 10
    assert 1 <= len(new) <= 3


def test_small_files_share_parts(tmp_path):
    write_files(tmp_path, {f"{number:04}.txt": 100 for number in range(3000)})
    assert len(parts_of(tmp_path)) <= 4


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_is_uploaded_as_it_is(tmp_path, kind):
    path = tmp_path / f"project.{kind}"
    content = random.Random(7).randbytes(9 * MIB)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("data.bin", content)
    else:
        (tmp_path / "data.bin").write_bytes(content)
        with tarfile.open(path, "w:gz") as made:
            made.add(tmp_path / "data.bin", "data.bin")
    parts = parts_of(path)
    assert [len(part) for part in parts] == [8 * MIB, path.stat().st_size - 8 * MIB]
    assert b"".join(parts) == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "shown"),
    [("my project", "my-project"), ("été", "t"), ("数据", "workspace"), ("x" * 90, "x" * 80), (".hidden", "hidden")],
)
def test_the_name_of_a_workspace_has_only_characters_of_urls(tmp_path, name, shown):
    (tmp_path / name).mkdir()
    (tmp_path / name / "train.py").touch()
    assert package(tmp_path / name).name == shown


@pytest.mark.parametrize(
    ("workspace", "ignore_files", "problem"),
    [
        ("nowhere", None, "workspace: nowhere is neither a folder nor an archive on this machine"),
        ("", None, "workspace: must be the path of a folder or archive such as '.', not ''"),
        ("a\0b", None, "workspace: must be the path of a folder or archive such as '.', not 'a"),
        (5, None, "workspace: must be the path of a folder or archive such as '.', not 5"),
        (__file__, None, "is neither a zip nor a tar file"),
        (".", 5, "ignore_files: must be a list of str"),
        (".", [5], "ignore_files: must be a list of str"),
    ],
)
def test_what_cannot_be_uploaded_is_named_before_anything_is_read(workspace, ignore_files, problem):
    with pytest.raises(InvalidParametersError, match=problem):
        checked_source(workspace, ignore_files, "test()")


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(WorkspaceError, match="has no files, or all of them are ignored"):
        package(tmp_path)
    (tmp_path / "train.py").touch()
    with pytest.raises(WorkspaceError, match="has no files, or all of them are ignored"):
        package(tmp_path, "*")


def test_a_folder_that_is_too_large_is_refused_with_its_largest_files(tmp_path):
    for name, size in {"a.bin": 3 * 2**30, "b.bin": 2 * 2**30, "c.bin": 0, "train.py": 100}.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)  # with a hole: it takes no space
    with pytest.raises(WorkspaceError) as caught:
        package(tmp_path)
    assert "has 5.4 GB, and 4.3 GB can be uploaded" in str(caught.value)
    assert "largest files are a.bin (3.2 GB), b.bin (2.1 GB), train.py (100 B)" in str(caught.value)
    assert ".gradientignore or ignore_files" in str(caught.value)
    assert package(tmp_path, "b.bin").size < 4 * 2**30


def test_a_folder_with_too_many_files_is_refused_with_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "MAX_WORKSPACE_FILES", 20)
    write_files(tmp_path, {f"frames/{number}.png": 1 for number in range(30)} | {"train.py": 1})
    with pytest.raises(WorkspaceError, match=r"has 32 files and folders, and 20 .*Most are in frames \(31\), train.py"):
        package(tmp_path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../.."])
def test_a_link_that_leads_out_of_the_folder_is_refused(folder, target):
    (folder / "lib" / "out").symlink_to(target)
    with pytest.raises(WorkspaceError, match=f"lib/out is a link to {target}, outside of the workspace"):
        package(folder)


def test_links_in_a_circle_and_to_nothing_are_kept(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "dangling").symlink_to("lib/later")
    assert {name: entries_of(folder)[name] for name in ("a", "b", "dangling")} == {
        "a": "b", "b": "a", "dangling": "lib/later",
    }  # fmt: skip


def test_a_file_that_vanishes_while_it_is_packed_is_named(folder):
    found = package(folder)
    (folder / "lib" / "data.txt").unlink()
    with pytest.raises(WorkspaceError, match=r"lib/data.txt has vanished while the workspace was packed"):
        list(found.parts())


@pytest.mark.parametrize("size", [5 * MIB, 15 * MIB, 25 * MIB])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path, size):
    write_files(tmp_path, {"a.bin": 20 * MIB, "b.txt": 1})
    parts = package(tmp_path).parts()
    next(parts)
    next(parts)
    with (tmp_path / "a.bin").open("r+b") as file:
        file.truncate(size)
    with pytest.raises(WorkspaceError, match=r"a.bin has changed while it was read; .*\.gradientignore"):
        list(parts)


def test_a_file_that_becomes_a_pipe_or_a_link_does_not_block(folder):
    found = package(folder)
    (folder / "train.sh").unlink()
    os.mkfifo(folder / "train.sh")
    with pytest.raises(WorkspaceError, match=r"train.sh has changed"):
        list(found.parts())
    (folder / "train.sh").unlink()
    (folder / "train.sh").symlink_to("/etc/passwd")
    with pytest.raises(WorkspaceError, match=r"train.sh cannot be read"):
        list(found.parts())


def test_a_folder_that_is_a_link_is_followed(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert parts_of(tmp_path / "link") == parts_of(folder)
    assert stat.S_ISLNK((tmp_path / "link").lstat().st_mode)
