"""Experiments on a real Slurm cluster of three machines."""

import subprocess


def test_a_job_reaches_all_machines(slurm):
    found = subprocess.run(["srun", "-N3", "hostname"], capture_output=True, text=True, check=True)
    assert sorted(found.stdout.split()) == ["m1", "m2", "m3"]
