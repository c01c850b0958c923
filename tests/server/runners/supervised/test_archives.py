"""Archives as workspaces: what is extracted, and what is refused with the name of the entry that is wrong."""

import gzip
import io
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib

import pytest

from gradient_server.runners.supervised.archives import extract
from gradient_server.runners.supervised.limits import Quota, SetupError


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
        (tar_of(("tty", tarfile.CHRTYPE, "")), "tty in the workspace's archive is a device or a pipe"),
        (tar_of(("disk", tarfile.BLKTYPE, "")), "disk in the workspace's archive is a device or a pipe"),
        (tar_of(("link", tarfile.LNKTYPE, "gone")), "a.zip is broken: link is a link to gone, which is not there"),
        (b"BZh9nothing", "a.zip is broken: "),
        (b"\xfd7zXZ\0nothing", "a.zip is broken: "),
        (
            tar_of(("bin/python", tarfile.SYMTYPE, "/usr/bin/python3")),
            "(virtual environments have such links)",
        ),
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


def test_the_first_bytes_decide_what_an_archive_is(extracted, tmp_path):
    inner = zip_of("weights.npy")
    assert os.listdir(extracted(zip_of("model.tar", tar_of(("a", b"x"))))) == ["model.tar"]
    shutil.rmtree(tmp_path / "folder")
    archive = tar_of(("train.py", b"x"), ("weights.npz", inner))
    assert sorted(os.listdir(extracted(archive))) == ["train.py", "weights.npz"]
    for damaged in (b"X" + archive[1:], b"#!/bin/sh\n" + inner):
        shutil.rmtree(tmp_path / "folder")
        with pytest.raises(SetupError, match=r"a\.zip is neither a zip nor a tar file"):
            extracted(damaged)


def windows_zip(*names, system=0):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.create_system = system
            file.writestr(info, b"" if name.endswith(("/", "\\")) else b"x")
    return made.getvalue()


@pytest.mark.parametrize("system", [0, 3, 10, 11])
def test_paths_with_backslashes_are_those_of_windows(extracted, system):
    folder = extracted(windows_zip("train.py", "src\\", "src\\data\\a.txt", system=system))
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert found == ["src", "src/data", "src/data/a.txt", "train.py"]


def test_a_backslash_in_a_name_from_unix_is_kept(extracted):
    assert (extracted(windows_zip("src/a\\x2db", system=3)) / "src" / "a\\x2db").exists()


@pytest.mark.parametrize("name", ["..\\escaped", "a\\..\\..\\escaped", "C:\\escaped", "\\escaped", "\\\\host\\escaped"])
def test_a_path_of_windows_that_leads_outside_is_refused(extracted, tmp_path, name):
    with pytest.raises(SetupError, match="outside of its own folder"):
        extracted(windows_zip(name))
    assert list(tmp_path.rglob("*escaped")) == []


@pytest.mark.parametrize("count", [1, 0xFFFF])
def test_a_list_of_a_million_members_is_not_read(extracted, monkeypatch, count):
    """Whatever number of members the archive names."""
    made = zip_of("a")
    start = made.index(b"PK\x01\x02")
    members = made[start : made.index(b"PK\x05\x06")] * 200_001
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(members), start, 0)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(SetupError, match="more than 200000 files"):
        extracted(made[:start] + members + end)


def test_a_list_of_members_in_the_large_format_is_counted_too(extracted, monkeypatch):
    made = zip_of("a")
    start = made.index(b"PK\x01\x02")
    members = made[start : made.index(b"PK\x05\x06")] * 4
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 4, 4, len(members), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(members), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 50, start, 3)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(SetupError, match="more than 200000 files"):
        extracted(made[:start] + members + large + locator + end + b"abc", files=3)


def xz_with_dictionary(content, code):
    """Return content with the code of a dictionary: 28 is 64 MiB, 29 is 96 MiB."""
    made = bytearray(lzma.compress(content, preset=0))
    size, place = (made[12] + 1) * 4, made.index(b"\x21\x01", 12)
    made[place + 2] = code
    made[12 + size - 4 : 12 + size] = struct.pack("<L", zlib.crc32(bytes(made[12 : 12 + size - 4])))
    return bytes(made)


def lzma_with_dictionary(content, size):
    made = bytearray(lzma.compress(content, format=lzma.FORMAT_ALONE, preset=0))
    made[1:5] = struct.pack("<L", size)
    return bytes(made)


MIB = 2**20


@pytest.mark.parametrize("pack", [xz_with_dictionary, lzma_with_dictionary], ids=["xz", "lzma"])
def test_a_dictionary_has_64_mib_at_most(extracted, tmp_path, pack):
    """The most that `xz -9` uses. It would take that much memory to unpack the archive, however small it is."""
    fits, does_not = (28, 29) if pack is xz_with_dictionary else (64 * MIB, 96 * MIB)
    archive = tar_of(("a", b"x"))
    assert os.listdir(extracted(pack(archive, fits))) == ["a"]
    shutil.rmtree(tmp_path / "folder")
    with pytest.raises(SetupError, match="needs a dictionary of more than 64 MiB"):
        extracted(pack(archive, does_not))


def test_a_large_dictionary_in_a_later_stream_is_refused_too(extracted):
    archive = tar_of(("a", b"x" * 2000))
    with pytest.raises(SetupError, match="needs a dictionary of more than 64 MiB"):
        extracted(lzma.compress(archive[:1024]) + bytes(8) + xz_with_dictionary(archive[1024:], 36))


def test_several_streams_of_xz_are_one_archive(extracted):
    archive = tar_of(("a", b"x" * 2000))
    folder = extracted(lzma.compress(archive[:1024]) + bytes(8) + lzma.compress(archive[1024:]) + bytes(4))
    assert (folder / "a").read_bytes() == b"x" * 2000


@pytest.mark.parametrize(("size", "is_refused"), [(64 * MIB, False), (64 * MIB + 1, True), (3 * 1024 * MIB, True)])
def test_a_dictionary_in_a_zip_file_has_64_mib_at_most(extracted, size, is_refused):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a", b"x" * 100)
    archive = bytearray(made.getvalue())
    archive[30 + 1 + 5 : 30 + 1 + 9] = struct.pack("<L", size)
    if is_refused:
        with pytest.raises(SetupError, match="needs a dictionary of more than 64 MiB"):
            extracted(bytes(archive))
    else:
        assert (extracted(bytes(archive)) / "a").read_bytes() == b"x" * 100


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [2**20 + 1, 3 * 1024**3, -512])
def test_a_name_that_would_fill_the_memory_is_refused(extracted, kind, size):
    info = tarfile.TarInfo("name")
    info.type, info.size = kind, size
    with pytest.raises(SetupError, match=f"an entry or its name has {size} bytes"):
        extracted(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


def test_a_damaged_checksum_is_noticed(extracted):
    """The content may be wrong, although it can be unpacked."""
    archive = bytearray(gzip.compress(tar_of(("a", b"x" * 100_000)), compresslevel=0))
    place = archive.index(b"xxxx")
    archive[place : place + 4] = b"yyyy"
    with pytest.raises(SetupError, match=r"a\.zip is broken: CRC"):
        extracted(bytes(archive))


def test_folders_may_be_nested_deeply(extracted):
    name = "d/" * 300
    folder = extracted(tar_of((f"{name}file", b"x"), (f"{name}link", tarfile.SYMTYPE, "file")))
    assert (folder / name / "link").read_bytes() == b"x"


def test_folders_that_are_nested_too_deeply_are_refused(extracted):
    with pytest.raises(SetupError, match=r"a\.zip cannot be unpacked: maximum recursion depth"):
        extracted(tar_of(("d/" * 1500 + "file", b"x")))


def test_a_later_entry_takes_the_place_of_an_earlier_one(extracted):
    folder = extracted(
        tar_of(("a", b"x"), ("b", tarfile.SYMTYPE, "a"), ("b", b"file"), ("a", tarfile.LNKTYPE, "b"), ("c", b"y"))
    )
    assert {path.name: (path.read_bytes(), path.is_symlink()) for path in folder.iterdir()} == {
        "a": (b"file", False),
        "b": (b"file", False),
        "c": (b"y", False),
    }


def test_times_in_tar_files_are_kept(extracted):
    info = tarfile.TarInfo("a")
    info.mtime = 1234
    assert (extracted(info.tobuf() + bytes(1024)) / "a").stat().st_mtime == 1234
