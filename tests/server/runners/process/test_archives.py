"""Archives that are damaged, or made to do harm: they are refused with what is wrong, and take no memory."""

import gzip
import io
import os
import tarfile
import tracemalloc
import zipfile

import pytest

from gradient_server.runners.process.set_up import CannotSetUp
from gradient_server.runners.process.workspace import prepare_workspace

MUCH = 50 * 2**20
LITTLE = 8 * 2**20


@pytest.fixture
def unpacked(tmp_path):
    """Unpack an archive; where it went."""
    path = tmp_path / "archive"

    def unpacked(archive):
        path.write_bytes(archive)
        return prepare_workspace({"workspaceUrl": str(path)}, tmp_path / "workspace", tmp_path / "runs")

    return unpacked


def tar_of(*members, form=tarfile.PAX_FORMAT):
    """Make a tar file: names with contents, or links with kinds and where they lead."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as file:
        for name, content, *to in members:
            info = tarfile.TarInfo(name)
            if to:
                info.type, info.linkname = content, to[0]
                file.addfile(info)
            else:
                info.size = len(content)
                file.addfile(info, io.BytesIO(content))
    return made.getvalue()


def zip_of(name, content, mode=0o644):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
        file.writestr(info, content)
    return made.getvalue()


def header(kind, size):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def sparse_map():
    """Say of a file that it has many holes."""
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1
    first[148:156] = b"        "
    first[148:156] = b"%06o\0 " % sum(first)
    return bytes(first) + (b"00000000001\0" * 42 + b"\1".ljust(8, b"\0")) * (MUCH // 512)


@pytest.mark.parametrize(
    "make",
    [
        lambda: zip_of("link", bytes(MUCH), 0o120777),
        lambda: gzip.compress(header(tarfile.XHDTYPE, MUCH) + bytes(MUCH), 1),
        lambda: gzip.compress(tar_of(("a", b"x"))[:1024] + header(tarfile.XGLTYPE, MUCH) + bytes(MUCH), 1),
        lambda: gzip.compress(header(tarfile.GNUTYPE_LONGNAME, MUCH) + b"x" * MUCH, 1),
        lambda: gzip.compress(sparse_map(), 1),
    ],
    ids=["the path of a link", "a header", "a header for all", "a long name", "many holes"],
)
def test_what_stands_around_contents_is_bounded(unpacked, make):
    """A small archive can have much of it, which a library would keep in memory."""
    archive = make()
    assert len(archive) < MUCH / 50
    tracemalloc.start()
    with pytest.raises(CannotSetUp, match=r"a member with a header of over 1 MiB|link is a link to no path"):
        unpacked(archive)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LITTLE


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_no_harm(unpacked, form):
    """Names and paths of links that the first header has no room for are read from others."""
    name, to = "ä" * 60 + "/" + "n" * 120, "b" * 150
    folder = unpacked(tar_of((name, b"x"), ("link", tarfile.SYMTYPE, to), ("same", tarfile.LNKTYPE, name), form=form))
    assert (folder / name).read_bytes() == (folder / "same").read_bytes() == b"x"
    assert os.readlink(folder / "link") == to


WHOLE = tar_of(*((name, name.encode() * 600) for name in "abc"))
MEMBERS = WHOLE[: 3 * (512 + 1024)]


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["tar", "tgz"])
@pytest.mark.parametrize("length", [600, 1536, 1537, 2048, 3 * 1024 + 300, len(MEMBERS), len(MEMBERS) + 511])
def test_a_tar_file_that_is_cut(unpacked, length, packed):
    """Wherever it was: it is not taken for a smaller one."""
    with pytest.raises(CannotSetUp, match=r"archive is broken: .*(cut off|unexpected end of data|ended before)"):
        unpacked(packed(WHOLE[:length]))


@pytest.mark.parametrize("place", [1536, 3 * 1024 + 150])
def test_a_tar_file_that_is_damaged(unpacked, place):
    """Members behind the damage are not left out in silence."""
    with pytest.raises(CannotSetUp, match=r"is broken: what begins at byte .* is no member"):
        unpacked(WHOLE[:place] + b"X" + WHOLE[place + 1 :])


@pytest.mark.parametrize("rest", [bytes(512), bytes(1024), bytes(10240), bytes(512) + b"more"])
def test_the_end_of_a_tar_file(unpacked, rest):
    """One empty block is enough, as programs read it, and nobody looks at what comes then."""
    assert sorted(os.listdir(unpacked(MEMBERS + rest))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("archive", "wrong"),
    [
        (zip_of("link", b"a\0b", 0o120777), "link is a link to no path"),
        (zip_of("link", b"", 0o120777), "link is a link to no path"),
        (zip_of("éé.py", b"1").replace("éé".encode(), b"\xff\xfe\xff\xfe"), "is broken: a name in it is not the UTF-8"),
        (b"\x1f\x8bnothing", "is neither a zip nor a tar file"),
        (b"", "is neither a zip nor a tar file"),
    ],
    ids=["NUL in a link", "an empty link", "a name", "no tgz", "nothing"],
)
def test_what_is_wrong_with_an_archive(unpacked, archive, wrong):
    """It is said, whatever it is."""
    with pytest.raises(CannotSetUp, match=wrong):
        unpacked(archive)


@pytest.mark.parametrize(
    "members",
    [
        [("l", tarfile.SYMTYPE, "d/.."), ("d", tarfile.SYMTYPE, ".")],
        [("a/b/c/l", tarfile.SYMTYPE, "../../x"), ("l", tarfile.LNKTYPE, "a/b/c/l")],
    ],
    ids=["turned round", "at another place"],
)
def test_links_do_not_lead_out_when_all_are_there(unpacked, members):
    """Each may have been fine when it was made."""
    with pytest.raises(CannotSetUp, match=r"would put l -> .* outside of its own folder"):
        unpacked(tar_of(*members))


def test_links_that_go_round(unpacked):
    """They lead nowhere, and so not outside."""
    folder = unpacked(tar_of(("a", tarfile.SYMTYPE, "b"), ("b", tarfile.SYMTYPE, "a"), ("c", b"x")))
    assert sorted(os.listdir(folder)) == ["a", "b", "c"]
