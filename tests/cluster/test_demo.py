"""examples/demo_cluster.py, which `make demo-cluster` runs: the training, its page, and what is left of it."""

import re
import signal
import subprocess
import sys

import httpx
import numpy as np
import pytest

from tests.cluster.machines import why_impossible
from tests.cluster.ray_cluster import ROOT, why_no_ray
from tests.cluster.slurm_cluster import why_no_slurm
from tests.e2e.examples.test_demo import processes_of

PATIENCE = 120


@pytest.fixture
def demo(tmp_path):
    """The running demo, which writes its temporary files to a folder."""
    if why_impossible() or (why_no_slurm() and why_no_ray()):
        pytest.skip(f"{why_impossible() or why_no_slurm()}")
    command = ["env", f"TMPDIR={tmp_path}", sys.executable, "-m", "examples.demo_cluster", ""]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_three_machines_train_while_the_page_is_shown_and_nothing_is_left(demo, tmp_path):
    output = ""
    for line in demo.stdout:
        output += line
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            assert httpx.get(f"{found[0]}/", follow_redirects=True, trust_env=False).status_code in (200, 401)
    assert demo.wait(PATIENCE) == 0, demo.stderr.read()
    assert sorted(re.findall(r"(?:worker \d|parameter server 0): (m\d)", output)) == ["m1", "m2", "m3"]
    right, model = re.search(r"(\d+\.\d)% right, the model is in (\S+)", output).groups()
    assert float(right) > 95
    with np.load(ROOT / model, allow_pickle=False) as saved:
        assert "hidden_weights" in saved.files
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing_behind(demo, tmp_path):
    assert any("epoch" in line for line in demo.stdout)
    demo.send_signal(signal.SIGTERM)
    _, errors = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130
    assert errors.splitlines()[-1] == "Interrupted; the cluster and all that it ran have ended."
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []
