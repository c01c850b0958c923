"""Archives as workspaces: what is extracted, and what is refused with the name of the entry that is wrong."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile

import pytest

from gradient_server.runners.process.archives import extract
from gradient_server.runners.process.limits import Quota, SetupError


@pytest.fixture
def extracted(tmp_path):
    """Extract the bytes of an archive, and return the folder."""

    def extracted(archive, **quota):
        path, folder = tmp_path / "archive", tmp_path / "folder"
        path.write_bytes(archive)
        folder.mkdir()
        extract(path, folder, "a.zip", Quota(**quota))
        return folder

    return extracted


def tar_of(*entries):
    """Return a tar file of names with contents, or of names with a type and a target."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as file:
        for name, content, *target in entries:
            info = tarfile.TarInfo(name)
            if target:
                info.type, info.linkname = content, target[0]
                file.addfile(info)
            else:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return made.getvalue()


def zip_of(name, content=b"x", mode=0o100644, *more):
    """Return a zip file of an entry, and of more tuples of name, content and mode."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for entry, text, rights in ((name, content, mode), *more):
            info = zipfile.ZipInfo(entry)
            info.external_attr = rights << 16
            file.writestr(info, text)
    return made.getvalue()


@pytest.mark.parametrize("form", ["zip", "tar", "gztar", "bztar", "xztar"])
def test_files_keep_their_contents_and_whether_they_are_executable(extracted, tmp_path, form):
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "data").write_text("data")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    with open(shutil.make_archive(str(tmp_path / "made"), form, project), "rb") as archive:
        folder = extracted(archive.read())
    assert (folder / "src" / "data").read_text() == "data"
    assert [os.access(folder / name, os.X_OK) for name in ("run.sh", "src/data")] == [True, False]


def test_symbolic_and_hard_links_in_the_folder_are_kept(extracted):
    folder = extracted(
        tar_of(("a", b"x"), ("link", tarfile.SYMTYPE, "a"), ("hard", tarfile.LNKTYPE, "a"), ("o", tarfile.SYMTYPE, "o"))
    )
    assert (os.readlink(folder / "link"), os.readlink(folder / "o")) == ("a", "o")
    assert (folder / "hard").read_bytes() == b"x"


def test_symbolic_links_in_zip_files_are_kept(extracted):
    assert os.readlink(extracted(zip_of("link", b"a/b", 0o120777)) / "link") == "a/b"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_later_entry_of_a_zip_file_replaces_a_link_and_does_not_write_through_it(extracted):
    archive = zip_of("a", b"b", 0o120777, ("b", b"old", 0o100644), ("a", b"new", 0o100644))
    folder = extracted(archive)
    assert [(folder / name).read_text() for name in "ab"] == ["new", "old"]
    assert not (folder / "a").is_symlink()


@pytest.mark.parametrize("has_flag", [True, False])
def test_names_in_zip_files_are_read_as_utf8_with_and_without_the_flag(extracted, has_flag):
    archive = zip_of("größe 😀.txt")
    if not has_flag:
        for header, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = archive.index(header) + place
            assert archive[at : at + 2] == b"\x00\x08"
            archive = archive[:at] + b"\0\0" + archive[at + 2 :]
    assert os.listdir(extracted(archive)) == ["größe 😀.txt"]


def test_other_names_in_zip_files_are_read_as_old_programs_wrote_them(extracted):
    assert os.listdir(extracted(zip_of("gr??e.txt").replace(b"gr??e", b"gr\x94\xe1e"))) == ["größe.txt"]


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        (tar_of(("../escaped", b"x")), "../escaped"),
        (tar_of(("/escaped", b"x")), "/escaped"),
        (zip_of("/escaped"), "/escaped"),
        (tar_of(("a/../../escaped", b"x")), "a/../../escaped"),
        (tar_of(("link", tarfile.SYMTYPE, "/etc")), "link -> /etc"),
        (tar_of(("link", tarfile.SYMTYPE, "..")), "link -> .."),
        (tar_of(("link", tarfile.LNKTYPE, "../archive")), "link -> ../archive"),
        (zip_of("../escaped"), "../escaped"),
        (zip_of("link", b"/etc", 0o120777), "link -> /etc"),
        # These links lead outside only when the next entry is there.
        (tar_of(("l", tarfile.SYMTYPE, "d/.."), ("d", tarfile.SYMTYPE, ".")), "l -> d/.."),
        (tar_of(("a", tarfile.SYMTYPE, "b/.."), ("b", tarfile.SYMTYPE, "."), ("a/escaped", b"x")), "a/escaped"),
        (tar_of(("a/b/l", tarfile.SYMTYPE, "../x"), ("l", tarfile.LNKTYPE, "a/b/l")), "l -> "),
    ],
)
def test_an_entry_that_lies_or_leads_outside_is_refused(extracted, tmp_path, archive, name):
    with pytest.raises(SetupError) as caught:
        extracted(archive)
    assert f"would put {name}" in str(caught.value)
    assert "outside of its own folder" in str(caught.value)
    assert list(tmp_path.rglob("escaped")) == []


@pytest.mark.parametrize(
    ("given", "kept"), [(0o6755, 0o700), (0o010, 0o700), (0o777, 0o700), (0o666, 0o600), (0, 0o600)]
)
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_files_belong_to_the_user_alone_and_have_no_special_rights(extracted, form, given, kept):
    info = tarfile.TarInfo("a")
    info.mode = given
    folder = extracted(info.tobuf() + bytes(1024) if form == "tar" else zip_of("a", mode=0o100000 | given))
    assert stat.S_IMODE((folder / "a").stat().st_mode) == kept


WHOLE = tar_of(*((name, name.encode() * 600) for name in "abc"))
ENTRIES = WHOLE[: 3 * (512 + 1024)]


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["tar", "tgz"])
@pytest.mark.parametrize("length", [600, 1537, 2048, 3 * 1024 + 300, len(ENTRIES), len(ENTRIES) + 511])
def test_a_truncated_tar_file_is_not_taken_for_a_smaller_one(extracted, length, packed):
    with pytest.raises(SetupError, match=r"a\.zip is broken: .*(cut off|unexpected end of data)"):
        extracted(packed(WHOLE[:length]))


def test_entries_after_a_damaged_one_are_not_left_out_in_silence(extracted):
    with pytest.raises(SetupError, match=r"a\.zip is broken: there is no entry at byte 1536"):
        extracted(WHOLE[:1536] + b"X" + WHOLE[1537:])


@pytest.mark.parametrize(
    ("archive", "wrong"),
    [
        (b"", "a.zip is neither a zip nor a tar file"),
        (b"text", "a.zip is neither a zip nor a tar file"),
        (b"\x1f\x8bnothing", "a.zip is broken: "),
        (zip_of("x", b"y" * 100).replace(b"yy", b"zz"), "a.zip is broken: "),
        (zip_of("éé").replace("éé".encode(), b"\xff\xfe\xff\xfe"), "a.zip is broken: 'utf-8' codec can't decode"),
        (zip_of("link", b"a\0b", 0o120777), "link in the workspace's archive is a link to no path"),
        (zip_of("link", b"a/" * 2049, 0o120777), "link in the workspace's archive is a link to no path"),
        (zip_of("link", b"", 0o120777), "link in the workspace's archive is a link to no path"),
        (tar_of(("pipe", tarfile.FIFOTYPE, "")), "pipe in the workspace's archive is a device or a pipe"),
    ],
)
def test_what_is_wrong_with_an_archive_is_in_the_error(extracted, archive, wrong):
    with pytest.raises(SetupError) as caught:
        extracted(archive)
    assert wrong in str(caught.value)


def huge_tar():
    info = tarfile.TarInfo("huge")
    info.size = 5 * 1024**3
    return info.tobuf()


def huge_zip():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("huge", b"x")
        file.getinfo("huge").file_size = 5 * 1024**3
    return made.getvalue()


@pytest.mark.parametrize("archive", [huge_tar(), huge_zip()], ids=["tar", "zip"])
def test_an_archive_of_more_than_4_gib_is_refused_before_it_is_extracted(extracted, archive):
    with pytest.raises(SetupError, match="The workspace is larger than 4 GiB"):
        extracted(archive)


def test_a_workspace_has_4_gib_and_200_000_files_at_most():
    Quota().take(4 * 1024**3, files=200_000)
    for size, files, problem in ((4 * 1024**3 + 1, 1, "larger than 4 GiB"), (0, 200_001, "more than 200000 files")):
        with pytest.raises(SetupError, match=problem):
            Quota().take(size, files)


def test_an_archive_of_too_many_files_is_refused(extracted):
    with pytest.raises(SetupError, match="more than 200000 files"):
        extracted(tar_of(("a", b""), ("b", b""), ("c", b"")), files=2)
