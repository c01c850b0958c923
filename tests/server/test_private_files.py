"""One rule for the key, the store, its side files and the folder of runs: nobody else can write or replace them."""

import contextlib
import grp
import os
import pwd
import stat
from pathlib import Path

import pytest

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.keys import load_or_create_key
from gradient_server.runners.process import ProcessRunner

SOMEBODY = 65534
ANOTHER_GROUP = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")


def use_key(folder):
    load_or_create_key(folder / "key")


def use_store(folder):
    with LocalServer(store=folder / "store"):
        pass


def use_runs(folder):
    with LocalServer(runner=ProcessRunner(folder / "runs", slots=1)):
        pass


USES = {"key/config.json": use_key, "store": use_store, "runs": use_runs}
uses = pytest.mark.parametrize("name", USES)


@contextlib.contextmanager
def umask(bits):
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "above" / "folder"
    path.mkdir(parents=True)
    return path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def refused(name, folder):
    """Use a file in a folder, which must be refused; return the error."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the caller looks at it
        USES[name](folder)
    assert sorted(folder.rglob("*")) == before
    return caught.value


@only_root
@uses
def test_what_belongs_to_somebody_else_is_refused(folder, name):
    USES[name](folder)
    os.chown(folder / name, SOMEBODY, -1)
    error = refused(name, folder)
    assert (error.filename, error.strerror) == (str(folder / name), "it belongs to somebody else")


@uses
@pytest.mark.parametrize("bits", [0o602, 0o666, 0o720])
def test_what_others_may_write_is_refused(folder, name, bits):
    USES[name](folder)
    if os.geteuid() == 0:
        os.chown(folder / name, -1, ANOTHER_GROUP)
    elif bits == 0o720:
        pytest.skip("only root can give a file to another group")
    (folder / name).chmod(bits)
    error = refused(name, folder)
    assert error.filename == str(folder / name)
    assert f"(mode {bits:o})" in error.strerror
    assert "chmod 600" in error.strerror or "chmod 700" in error.strerror


@uses
@pytest.mark.parametrize("target", ["what it is", "nothing"])
def test_a_link_is_refused_and_not_followed(folder, tmp_path, name, target):
    USES[name](folder)
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere if target == "what it is" else tmp_path / "moved")
    (folder / name).symlink_to(elsewhere)
    error = refused(name, folder)
    assert (error.filename, error.strerror) == (str(folder / name), "it is a symbolic link")
    assert elsewhere.exists() == (target == "what it is")


def plant_file(path):
    path.write_bytes(b"")
    path.chmod(0o666)


def plant_link(path):
    path.symlink_to(path.with_name("elsewhere"))


def plant_pipe(path):
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("has_store", [True, False])
@pytest.mark.parametrize("plant", [plant_file, plant_link, plant_pipe])
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_what_others_have_put_beside_a_store_is_refused(folder, suffix, plant, has_store):
    """SQLite would take changes from it, also if there is no store yet."""
    if has_store:
        use_store(folder)
    plant(folder / f"store{suffix}")
    assert refused("store", folder).filename == str(folder / f"store{suffix}")


@only_root
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_what_belongs_to_somebody_else_beside_a_store_is_refused(folder, suffix):
    use_store(folder)
    (folder / f"store{suffix}").touch(0o600)
    os.chown(folder / f"store{suffix}", SOMEBODY, -1)
    error = refused("store", folder)
    assert (error.filename, error.strerror) == (str(folder / f"store{suffix}"), "it belongs to somebody else")


def test_a_pipe_in_the_place_of_a_store_is_refused(folder):
    plant_pipe(folder / "store")
    assert refused("store", folder).strerror == "it is no file"


@uses
@pytest.mark.parametrize("above", [0, 1])
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_above_that_others_may_write_is_refused(folder, name, above, exists):
    """They could put something else in its place, or already have."""
    if exists:
        USES[name](folder)
    open_folder = [folder, folder.parent][above]
    open_folder.chmod(0o777)
    error = refused(name, folder)
    assert f"others may write {open_folder} (mode 777)" in error.strerror
    assert Path(error.filename).is_relative_to(folder)
    open_folder.chmod(0o1777)  # as /tmp is
    USES[name](folder)


@only_root
@uses
@pytest.mark.parametrize("above", [0, 1])
def test_a_folder_above_that_belongs_to_somebody_else_is_refused(folder, name, above):
    USES[name](folder)
    os.chown([folder, folder.parent][above], SOMEBODY, -1)
    assert f"{[folder, folder.parent][above]} belongs to somebody else" in refused(name, folder).strerror


@only_root
@uses
def test_a_folder_above_that_another_group_may_write_is_refused(folder, name):
    folder.chmod(0o775)
    USES[name](folder)  # the group of root
    os.chown(folder, -1, ANOTHER_GROUP)
    assert f"others may write {folder} (mode 775)" in refused(name, folder).strerror
    folder.chmod(0o755)
    USES[name](folder)


@uses
@pytest.mark.parametrize(
    ("group", "members", "is_refused"),
    [("me", [], False), ("me", ["me"], False), ("me", ["me", "you"], True), ("users", [], True), (None, [], False)],
)
def test_a_folder_that_the_own_group_may_write_is_refused_if_others_are_in_it(
    folder, monkeypatch, name, group, members, is_refused
):
    """Many systems make a group for each user, whose folders the group may write then."""
    if os.geteuid() == 0:
        os.chown(folder, -1, 4321)
        monkeypatch.setattr(os, "getegid", lambda: 4321)
    folder.chmod(0o775)
    user = pwd.getpwuid(os.geteuid())
    me = pwd.struct_passwd(("me", *user[1:]))
    monkeypatch.setattr(pwd, "getpwuid", lambda number: me)

    def find(number):
        if group is None:
            raise KeyError(number)
        return grp.struct_group((group, "x", number, members))

    monkeypatch.setattr(grp, "getgrgid", find)
    if is_refused:
        assert "(mode 775)" in refused(name, folder).strerror
    else:
        USES[name](folder)


@uses
def test_what_is_above_the_home_of_the_user_is_trusted(folder, monkeypatch, name):
    folder.parent.chmod(0o777)
    monkeypatch.setenv("HOME", str(folder))
    USES[name](folder)


@uses
def test_a_link_in_the_path_is_followed_once(folder, tmp_path, name):
    """What is checked is what is used."""
    link = tmp_path / "link"
    link.symlink_to(folder)
    USES[name](link)
    assert (folder / name).exists()
    folder.chmod(0o777)
    assert f"others may write {folder}" in refused(name, link).strerror


def test_runs_stay_in_their_folder_if_a_link_to_it_is_changed_later(folder, tmp_path):
    link, elsewhere = tmp_path / "link", tmp_path / "elsewhere"
    link.symlink_to(folder)
    elsewhere.mkdir()
    with LocalServer(runner=ProcessRunner(link / "runs", slots=1)) as server:
        link.unlink()
        link.symlink_to(elsewhere)
        urls = {"base_url": server.experiments_url, "logs_url": server.logs_url}
        with ExperimentsClient(server.api_key, **urls) as client:
            command = f"pwd > {tmp_path}/executed"
            handle = client.run_single_node(name="n", project_id="p", container="c", machine_type="m", command=command)
            client.wait(handle)
    assert (tmp_path / "executed").read_text() == f"{os.path.realpath(folder)}/runs/{handle}/workspace\n"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("bits", [0o000, 0o002, 0o022, 0o077])
def test_new_folders_above_a_key_are_private_whatever_the_umask_is(tmp_path, bits):
    with umask(bits):
        load_or_create_key(tmp_path / "state" / "more" / "key")
    assert [mode(tmp_path / name) for name in ("state", "state/more", "state/more/key")] == [0o700] * 3
