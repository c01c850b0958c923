"""Files that several machines have: how it is known that they are on NFS, and that others see what is written."""

import os
from pathlib import Path

import pytest

from gradient_server.runners.slurm.network_files import Flusher, is_on_nfs

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:2 - nfs4 nas:/home rw,vers=4.2
31 30 0:41 / /home/local rw - xfs /dev/vdb rw
32 22 0:42 / /my\040data rw - nfs nas:/data rw
33 22 0:43 / /scratch rw - nfs nas:/old rw
34 33 0:44 / /scratch rw - lustre mds:/fs rw
""".strip()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/ada/runs", True),
        ("/home/local/runs", False),
        ("/homes", False),
        ("/my data/runs", True),
        ("/scratch/runs", False),
        ("/", False),
    ],
)
def test_a_path_is_on_nfs_if_the_last_mount_above_it_is(path, found):
    assert is_on_nfs(Path(path), MOUNTS) is found


def test_a_file_is_synchronised_once_for_each_time_that_it_has_grown(tmp_path, monkeypatch):
    synchronised = []
    monkeypatch.setattr(os, "fsync", lambda file: synchronised.append(os.fstat(file).st_size))
    path = tmp_path / "0.log"
    flusher = Flusher([path, tmp_path / "missing"])
    flusher.flush()
    path.write_text("one")
    flusher.flush()
    flusher.flush()
    path.write_text("one two")
    flusher.flush()
    assert synchronised == [3, 7]
