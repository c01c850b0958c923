"""GPUs of this machine: how they are found, and that each is assigned to one run at a time, also by a later server."""

import os
import stat

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.machine_types import Claim, MachineType
from gradient_server.runners.process.gpus import find_gpus
from gradient_server.runners.supervised.processes import available_memory, available_processors
from tests.server.runners.conftest import wait_until

TYPES = {
    "one": MachineType(gpus=1, cpus=1),
    "two": MachineType(gpus=2),
    "wide": MachineType(slots=3),
    "cpus": MachineType(cpus=available_processors()),
}
SHOW = 'echo "$CUDA_VISIBLE_DEVICES|$CUDA_DEVICE_ORDER|$OMP_NUM_THREADS"'
WAIT = "while [ ! -e go ]; do sleep 0.01; done"


@pytest.fixture
def machine(make_bench, monkeypatch):
    """A server with three GPUs that do not exist, and room for four runs."""
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)

    def make(**options):
        return make_bench(**{"slots": 4, "machine_types": TYPES, "gpus": ("0", "1", "2"), **options})

    return make


def go(bench, run):
    (bench.directory / run.handle / "workspace" / "go").touch()
    bench.wait_for_end(run)


def waits(run):
    wait_until(lambda: run.remark and "waits" in run.remark, "the reason")
    return run.remark


def test_each_run_sees_its_own_gpus_and_a_free_one_is_given_to_the_next(machine):
    bench = machine()
    first, second, none = (bench.run(f"{SHOW}; {WAIT}", machineType=name) for name in ("one", "two", "local"))
    for run, row in ((first, "0|PCI_BUS_ID|1"), (second, "1,2|PCI_BUS_ID|"), (none, "|PCI_BUS_ID|")):
        bench.wait_for_row(run, row)
    assert [run.remark for run in (first, second, none)] == ["GPUs: 0.", "GPUs: 1, 2.", None]
    third = bench.run(SHOW, machineType="one", experimentEnv={"OMP_NUM_THREADS": 7})
    behind = bench.run(SHOW, machineType="local")
    assert waits(third) == "It waits for 1 GPU: 0 of 3 are free."
    assert waits(behind) == "It waits for its turn: it is number 2 in the queue."
    assert [bench.state(run) for run in (third, behind)] == [State.PENDING] * 2
    go(bench, second)
    bench.wait_for_end(third, behind)
    assert bench.rows(third) == ["1|PCI_BUS_ID|7"]
    assert (second.remark, third.remark) == ("GPUs: 1, 2.", "GPUs: 1.")


def test_each_node_has_its_own_gpus_and_is_local_rank_0(machine):
    bench = machine()
    nodes = {"workerCount": 2, "parameterServerCount": 1, "experimentTypeId": 2}
    types = {"workerMachineType": "one", "parameterServerMachineType": "local"}
    show = 'echo "$CUDA_VISIBLE_DEVICES|$RANK|$LOCAL_RANK"'
    run = bench.done(workerCommand=f"{show}; sleep 0.2", parameterServerCommand=f"{show}; sleep 60", **nodes, **types)
    assert [bench.rows(run, job.name) for job in run.jobs] == [["0|0|0"], ["1|1|0"], ["||"]]
    assert run.remark == "GPUs: worker 0: 0; worker 1: 1."


def test_mpirun_sees_the_gpus_of_all_nodes(machine, monkeypatch, tmp_path):
    mpirun = tmp_path / "bin" / "mpirun"
    mpirun.parent.mkdir()
    mpirun.write_text(f"#!/bin/sh\n{SHOW}\n")
    mpirun.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(mpirun.parent), prepend=os.pathsep)
    bench = machine()
    nodes = {"workerCount": 2, "masterCount": 1, "experimentTypeId": 3}
    types = {"workerMachineType": "one", "masterMachineType": "local"}
    run = bench.done(workerCommand="sleep 60", masterCommand="mpirun", **nodes, **types)
    assert bench.rows(run, "master 0") == ["0,1|PCI_BUS_ID|"]


def test_slots_and_processors_are_shared_out_as_well(machine):
    bench = machine()
    wide = bench.run(WAIT, machineType="wide")
    wait_until(lambda: bench.state(wide) == State.RUNNING, "the start")
    other = bench.run("true", machineType="wide")
    assert waits(other) == "It waits for 3 slots: 1 of 4 is free."
    go(bench, wide)
    bench.wait_for_end(other)
    all_cpus = bench.run(WAIT, machineType="cpus")
    wait_until(lambda: bench.state(all_cpus) == State.RUNNING, "the start")
    assert f"CPU{'s' * (available_processors() != 1)}: 0 of" in waits(bench.run("true", machineType="cpus"))


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"machineType": "P100"}, "machineType", "no machine type 'P100' here; there are one, two, wide, cpus"),
        ({"machineType": "two"}, "machineType", "needs 2 GPUs; the server has 1 GPU (0)."),
        ({"experimentEnv": {"CUDA_VISIBLE_DEVICES": "0"}}, "experimentEnv", "leave it out"),
    ],
)
def test_what_can_never_run_is_refused_for_its_field(machine, given, field, reason):
    with pytest.raises(RunRejectedError) as caught:
        machine(gpus=("0",)).admit("true", **given)
    assert (caught.value.member, reason in str(caught.value)) == (field, True)


def test_a_machine_type_that_is_known_is_used_and_a_container_is_not(machine):
    assert machine().admit("true", machineType="one", container="c").remark == (
        "This runs as a process of the server's machine: container c is not used."
    )


def test_the_processes_of_a_deleted_run_keep_its_gpus_until_they_are_gone(machine):
    bench = machine(gpus=("0",), grace=0.3)
    deleted = bench.run("trap '' TERM; echo $$; while :; do sleep 0.05; done", machineType="one")
    (pid,) = bench.pids(deleted)
    after = bench.run(f"kill -0 {pid} && echo still there || echo gone", machineType="one")
    deleted.delete()
    bench.wait_for_end(after)
    assert bench.rows(after)[-1] == "gone"


@pytest.mark.parametrize("machine_types", [TYPES, {"other": MachineType()}], ids=["the same types", "other types"])
def test_a_later_server_leaves_the_gpus_to_the_runs_that_have_them(machine, machine_types, tmp_path):
    first = machine(keep=True)
    began = first.clock.now()
    running = first.run(f"{SHOW}; {WAIT}", machineType="two", handle="esrunning")
    first.wait_for_row(running, "0,1|PCI_BUS_ID|")
    first.runner.close()
    later = machine(recover=False, machine_types={**machine_types, "one": TYPES["one"]})
    taken_over = later.admit(f"{SHOW}; {WAIT}", machineType="two", handle="esrunning", started=began)
    later.runner.recover()
    assert "GPUs: 0, 1." in taken_over.remark
    other = later.run(f"{SHOW}; {WAIT}", machineType="one")
    later.wait_for_row(other, "2|PCI_BUS_ID|1")
    third = later.run(SHOW, machineType="one")
    assert waits(third) == "It waits for 1 GPU: 0 of 3 are free."
    go(later, taken_over)
    later.wait_for_end(third)
    assert later.rows(third) == ["0|PCI_BUS_ID|1"]


def test_a_supervisor_that_claims_its_run_after_the_server_was_killed_has_the_gpus_that_it_was_given(
    machine, monkeypatch
):
    """The later server does not see yet that it was claimed, starts it again, and gives it the same GPUs."""
    first = machine(keep=True)
    began = first.clock.now()
    late = first.admit(SHOW, machineType="one", handle="eslate")
    monkeypatch.setattr(late.monitor, "_start_supervisor", lambda: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        late.monitor.launch(claim=Claim(gpus=[["1"]]))
    first.runner.close()
    later = machine(recover=False)
    late = later.admit(SHOW, machineType="one", handle="eslate", started=began)
    later.runner.recover()
    later.wait_for_row(late, "1|PCI_BUS_ID|1")


def test_a_queued_experiment_that_a_later_server_cannot_run_ends_with_the_reason(machine):
    later = machine(recover=False, machine_types={"other": MachineType()})
    run = later.admit("true", machineType="two", started=later.clock.now())
    later.runner.recover()
    later.wait_for_end(run)
    state, error = later.outcome(run)
    assert (state, "It cannot be run any more: There is no machine type 'two'" in error) == ("error", True)


@pytest.mark.parametrize(
    ("visible", "names"),
    [("2,3", ("2", "3")), ("GPU-1, GPU-2", ("GPU-1", "GPU-2")), ("", ()), ("1,-1,0", ("1",)), ("0,0", ("0",))],
)
def test_the_gpus_of_a_server_are_those_that_it_may_use_itself(visible, names):
    assert find_gpus({"CUDA_VISIBLE_DEVICES": visible, "PATH": ""}) == names


def test_otherwise_they_are_those_that_nvidia_smi_lists(tmp_path):
    program = tmp_path / "nvidia-smi"
    listed = "\\n".join(f"GPU {index}: NVIDIA A100-SXM4-40GB (UUID: GPU-{index}f3a)" for index in range(2))
    program.write_text(f'#!/bin/sh\n[ "$1" = -L ] && printf "{listed}\\n"\n')
    program.chmod(stat.S_IRWXU)
    assert find_gpus({"PATH": str(tmp_path)}) == ("0", "1")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert find_gpus({"PATH": str(tmp_path)}) == ()
    assert find_gpus({"PATH": str(tmp_path / "nothing")}) == ()


def test_the_memory_is_what_a_control_group_allows(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("0::/server/slice\n")
    group = tmp_path / "groups" / "server" / "slice"
    group.mkdir(parents=True)
    group.joinpath("memory.max").write_text("max\n")
    everything = available_memory(own, tmp_path / "groups")
    group.parent.joinpath("memory.max").write_text(f"{2**20}\n")
    assert (available_memory(own, tmp_path / "groups"), everything > 2**20) == (2**20, True)
