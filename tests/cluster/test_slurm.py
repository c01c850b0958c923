"""Experiments on a real Slurm cluster: what Slurm alone has, and what happens when parts of it die."""

import os
import re
import signal
import subprocess
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import BadRequestError
from tests.cluster.machines import wait_for
from tests.cluster.test_experiments import PATIENCE, messages, single_node, wait_until_printed

pytestmark = pytest.mark.parametrize("lab", ["slurm"], indirect=True)
SAVED_AFTER = 6
"""Seconds after which slurmctld has written down what has changed."""


def slurm_jobs(handle):
    """Return the numbers of the jobs of an experiment."""
    listed = subprocess.run(["squeue", "-h", "-t", "all", "-o", "%i %j"], capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if handle in line]


def counting(rows):
    return f"for i in $(seq {rows}); do echo $i; sleep 0.1; done"


def test_gpus_are_those_that_slurm_assigns(client):
    handle = client.run_single_node(**single_node("echo $(hostname) $CUDA_VISIBLE_DEVICES", "gpu"))
    assert messages(client, handle) == ["m3 0"]


def test_an_experiment_chooses_options_of_sbatch_and_an_impossible_one_is_refused(client):
    options = {"SBATCH_PARTITION": "short", "SBATCH_TIMELIMIT": 1}
    handle = client.run_single_node(**single_node("echo here", experiment_env=options))
    assert messages(client, handle) == ["here"]
    (job,) = slurm_jobs(handle)
    shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=True).stdout
    assert "Partition=short" in shown
    assert "TimeLimit=00:01:00" in shown
    with pytest.raises(BadRequestError, match="nowhere"):
        client.create_single_node(**single_node("true", experiment_env={"SBATCH_PARTITION": "nowhere"}))
    with pytest.raises(BadRequestError, match=r"third|P100"):
        client.create_single_node(**single_node("true", experiment_env={"SBATCH_CONSTRAINT": "unheard"}))


def test_a_job_that_a_user_cancels_ends_the_run_with_that_reason(lab, client):
    handle = client.run_single_node(**single_node("echo ready; exec sleep 3600.81"))
    wait_until_printed(client, handle, "ready")
    subprocess.run(["scancel", *slurm_jobs(handle)], check=True)
    experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
    assert experiment.state in (State.CANCELLED, State.ERROR)
    wait_for(lambda: lab.processes("3600.81") == [], "the end of the command")


def test_runs_outlive_a_killed_controller_and_the_remark_says_that_it_is_away(lab, client):
    running = client.run_single_node(**single_node(counting(150), "m3"))
    waiting = client.run_single_node(**single_node("echo ran", "m3"))
    wait_until_printed(client, running, "1")
    time.sleep(SAVED_AFTER)
    lab.cluster.kill_controller()
    try:
        late = client.run_single_node(**single_node("echo late", "half"))
        wait_for(lambda: "Slurm cannot be reached" in (client.get(late).remark or ""), "a remark")
        assert client.state(running) == State.RUNNING
        assert client.state(waiting) == client.state(late) == State.PENDING
    finally:
        lab.cluster.start_controller()
    assert messages(client, running) == [str(number) for number in range(1, 151)]
    assert (messages(client, waiting), messages(client, late)) == (["ran"], ["late"])
    assert [len(slurm_jobs(handle)) for handle in (running, waiting, late)] == [1, 1, 1]


def test_a_controller_that_is_killed_before_it_has_saved_a_start_runs_no_command_twice(lab, client, tmp_path):
    """It starts the job again, which does nothing and may end the first one, or does not know it any more."""
    handle = client.run_single_node(**single_node(f"echo $$ >> {tmp_path}/began; {counting(60)}", "m3"))
    wait_until_printed(client, handle, "1")
    lab.cluster.kill_controller()
    lab.cluster.start_controller()
    experiment = client.wait(handle, raise_on_failure=False, timeout=120)
    assert experiment.state == State.STOPPED or "job" in experiment.experiment_error
    assert len((tmp_path / "began").read_text().split()) == 1
    rows = [message for message in messages(client, handle) if message.isdecimal()]
    assert rows == [str(number) for number in range(1, len(rows) + 1)]


def test_a_run_outlives_the_slurmd_of_its_machine(lab, client):
    handle = client.run_single_node(**single_node(counting(40), "m3"))
    wait_until_printed(client, handle, "1")
    lab.cluster.restart_daemon("m3")
    assert messages(client, handle) == [str(number) for number in range(1, 41)]
    assert client.wait(handle).state == State.STOPPED


@pytest.mark.parametrize("index", [0, 1])
def test_a_killed_supervisor_ends_the_run_and_all_that_it_has_started(lab, client, index):
    """Whichever of its two processes it is."""
    handle = client.run_single_node(**single_node("setsid sleep 3600.82 & echo ready; exec sleep 3600.82", "m3"))
    wait_until_printed(client, handle, "ready")
    supervisors = sorted(each.pid for each in lab.processes("slurm.batch_job") if "python" in each.name())
    assert len(supervisors) == 2
    os.kill(supervisors[index], signal.SIGKILL)
    experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
    assert experiment.state == State.ERROR
    assert re.search(r"\bm3\b", f"{experiment.experiment_error} {experiment.remark}")
    wait_for(lambda: lab.processes("3600.82") == [], "the end of the command")
