"""Several nodes: tasks of one job, or of the components of a heterogeneous one, each with its agent."""

import os
import re
import signal

import psutil
import pytest

from gradient_server.runners.machine_types import parse_machine_types
from gradient_server.runners.slurm.agents import Component, components_of, node_addresses, own_address, step_problem
from tests.server.runners.conftest import wait_until

SERVES = "echo $TYPE $INDEX; exec sleep 60"
NODES = {"experimentTypeId": 2, "workerCount": 2, "parameterServerCount": 1, "parameterServerCommand": SERVES}


def test_nodes_are_tasks_of_one_job_and_know_who_they_are(bench, slurm):
    run = bench.done(workerCommand="echo $TYPE $INDEX of $WORLD_SIZE on $CUDA_VISIBLE_DEVICES; sleep 0.5", **NODES)
    assert bench.outcome(run) == ("stopped", None)
    found = [bench.rows(run, job.name) for job in run.jobs]
    assert found == [["worker 0 of 2 on 7"], ["worker 1 of 2 on 7"], ["ps 0"]]
    assert re.fullmatch(r"Machines: worker 0: \S+; worker 1: \S+; parameter server 0: \S+\.", run.remark)
    assert "--ntasks=3" in slurm.calls[0]
    assert "HET" not in "".join(slurm.calls)


def test_nodes_of_different_machine_types_are_components_of_one_job(make_bench, slurm):
    types = parse_machine_types("[C2]\ncpus = 2\n[K80]\ngpus = 1\n")
    bench = make_bench(machine_types=types)
    chosen = {"workerMachineType": "C2", "parameterServerMachineType": "K80"}
    run = bench.done(workerCommand="echo $TYPE $INDEX $OMP_NUM_THREADS; sleep 0.5", **NODES, **chosen)
    assert [bench.rows(run, job.name) for job in run.jobs] == [["worker 0 2"], ["worker 1 2"], ["ps 0"]]
    first, second = slurm.jobs[0]["components"]
    assert (first["ntasks"], first["cpus-per-task"], second["ntasks"], second["gres"]) == ("2", "2", "1", "gpu:1")
    assert first["job-name"] == second["job-name"]


def test_a_node_that_fails_ends_the_others(bench, slurm):
    run = bench.done(workerCommand='[ "$INDEX" = 0 ] && exec sleep 60; exit 3', **NODES)
    assert bench.outcome(run) == ("failed", "The command of worker 1 ended with exit code 3")
    wait_until(lambda: slurm.jobs[0]["state"] == "COMPLETED", "the end of the job")


def test_an_agent_that_is_killed_ends_the_run_by_the_name_of_its_node(bench):
    run = bench.run(workerCommand="echo $PPID; exec sleep 60", **NODES)
    bench.pids(run, job="worker 0")
    (agent,) = bench.pids(run, job="worker 1")
    assert "agent" in " ".join(psutil.Process(agent).cmdline())
    os.kill(agent, signal.SIGKILL)
    bench.wait_for_end(run)
    found, error = bench.outcome(run)
    assert (found, "worker 1" in error) == ("error", True), error


def test_several_nodes_that_reach_the_time_limit_end_with_that_reason(bench, slurm):
    """Slurm ends the agents at the same time as their supervisor."""
    run = bench.run(workerCommand="echo begun; exec sleep 60", **NODES)
    for name in ("worker 0", "worker 1"):
        bench.wait_for_row(run, "begun", job=name)
    slurm.reach_time_limit(slurm.jobs[0])
    bench.wait_for_end(run)
    found, error = bench.outcome(run)
    assert (found, "at its time limit" in error) == ("error", True), error


def test_components_are_read_from_the_environment_of_the_job():
    assert components_of({"SLURM_NTASKS": "3", "SLURM_CPUS_PER_TASK": "2", "SLURM_JOB_NODELIST": "m[1-3]"}) == [
        Component(tasks=3, cpus=2, machines="m[1-3]")
    ]
    variables = {"SLURM_HET_SIZE": "2", "SLURM_NTASKS_HET_GROUP_0": "2", "SLURM_NTASKS_HET_GROUP_1": "1"}
    first, second = components_of({**variables, "SLURM_CPUS_PER_TASK_HET_GROUP_1": "4"})
    assert (first.first, first.tasks, first.group, second.first, second.group) == (0, 2, 0, 2, 1)
    assert {"--het-group=1", "--ntasks=1", "--cpus-per-task=4"} < {*second.arguments}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("srun: error: m2: task 1: Exited with exit code 2\n", (4, "its agent: Exited with exit code 2")),
        ("noise\nsrun: error: m1: tasks 0-2: Killed\n", (3, "its agent: Killed")),
        (
            "srun: error: Unable to create step for job 7: Requested node configuration is not available\n",
            (3, "srun: Unable to create step for job 7: Requested node configuration is not available"),
        ),
        ("", None),
    ],
)
def test_what_srun_says_names_the_node(text, problem):
    assert step_problem(Component(first=3, tasks=3), text) == problem


def test_addresses_of_the_other_machines_are_found():
    text = """\
NodeName=m1 Arch=x86_64 CoresPerSocket=1 NodeAddr=10.0.0.1 NodeHostName=m1 Version=22.05.8
NodeName=m2 CoresPerSocket=1 NodeAddr=10.0.0.2 NodeHostName=m2
"""
    assert [*node_addresses(text, "m1")] == ["10.0.0.2"]


def test_agents_on_the_machine_of_the_supervisor_need_the_loopback_only():
    assert own_address([Component(machines="m1")], {"SLURMD_NODENAME": "m1"}) == "127.0.0.1"
