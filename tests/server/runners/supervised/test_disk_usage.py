"""The space that files take is what their removal frees, whatever is linked, sparse, mounted or closed."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import DiskUsage
from gradient_server.runners.supervised.deletion import disk_usage, remove_tree
from tests.server.runners.conftest import only_linux
from tests.server.runners.supervised.test_deletion import MOUNTING

MEASURING = """
import sys
from pathlib import Path
from gradient_server.runners.supervised.deletion import disk_usage
print(disk_usage(Path(sys.argv[1])).own)
"""


def freed_by_removal(folder):
    freed = []
    assert remove_tree(folder, freed.append) == []
    return sum(freed)


@given(
    files=st.lists(st.tuples(st.sampled_from(["", "a", "a/b", "c"]), st.integers(0, 20_000)), max_size=6),
    links=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["run/a", "run/c", "other", "third"])), max_size=8),
)
def test_the_size_is_what_the_removal_frees(tmp_path_factory, files, links):
    """Of files with hard links outside, nothing is freed before the last link is removed."""
    tmp_path = tmp_path_factory.mktemp("disk")
    run, others = tmp_path / "run", [tmp_path / "other", tmp_path / "third"]
    for folder in (run, run / "a" / "b", run / "c", *others):
        folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, (place, size) in enumerate(files):
        made.append(run / place / f"file{number}")
        made[-1].write_bytes(os.urandom(size))
    for number, (chosen, place) in enumerate(links if made else ()):
        os.link(made[chosen % len(made)], tmp_path / place / f"link{number}")
    on_disk = disk_usage(tmp_path)
    parts = [disk_usage(run), *map(disk_usage, others)]
    assert on_disk.shared == 0
    top = tmp_path.stat().st_blocks * 512
    assert abs(on_disk.own - top - sum(own + shared for own, shared in parts)) <= len(links) * 3  # rounded
    assert parts[0].own == freed_by_removal(run)
    later = [disk_usage(folder) for folder in others]
    assert [freed_by_removal(others[0]), freed_by_removal(others[1])] >= [later[0].own, later[1].own]
    assert disk_usage(tmp_path).own == top


def test_holes_in_a_file_take_nothing(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(10**9)
        file.write(b"end")
    assert disk_usage(tmp_path).own < 10**6


def test_links_are_not_followed(tmp_path):
    (tmp_path / "data").write_bytes(os.urandom(100_000))
    run = tmp_path / "run"
    run.mkdir()
    before = disk_usage(run)
    (run / "link").symlink_to(tmp_path)
    (run / "dangling").symlink_to("nowhere")
    assert disk_usage(run).own - before.own < 20_000


def test_what_is_not_there_takes_nothing(tmp_path):
    assert disk_usage(tmp_path / "nothing") == DiskUsage(0, 0)


@only_linux
def test_another_file_system_is_not_counted(tmp_path):
    (tmp_path / "mounted").mkdir()
    script = (
        f"mount -t tmpfs none {tmp_path}/mounted; head -c 5000000 /dev/zero > {tmp_path}/mounted/data; "
        f"{sys.executable} -c '{MEASURING}' {tmp_path}"
    )
    found = subprocess.run([*MOUNTING, script], capture_output=True, text=True, check=False)
    if "unshare" in found.stderr:
        pytest.skip("this user may not mount anything")
    assert int(found.stdout) < 100_000
