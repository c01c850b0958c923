"""Requests of runs to Slurm: options of the server, of machine types and of experiments, as arguments of sbatch."""

import pytest

from gradient_server.cli import parse_options
from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.machine_types import Capacity, MachineTypes, parse_machine_types
from gradient_server.runners.slurm.request import check_extra, job_requests
from gradient_server.runners.supervised.environment import nodes_of

SINGLE = {"experimentTypeId": 1, "command": "true", "machineType": "K80"}
MULTI = {
    "experimentTypeId": 2,
    "workerCommand": "true",
    "workerCount": 2,
    "workerMachineType": "K80",
    "parameterServerCommand": "true",
    "parameterServerCount": 1,
    "parameterServerMachineType": "C2",
}
TYPES = """
[K80]
gpus = 2
cpus = 4
memory = "8GB"
slurm = { gpu = "k80", partition = "gpu", constraint = "fast", time = "2-0" }
[C2]
cpus = 2
memory = "3GiB"
"""


def requests_of(body, *, types=TYPES, names=("worker 0",), **defaults):
    found = MachineTypes(types=parse_machine_types(types), capacity=Capacity(slots=1)) if types else None
    return job_requests(nodes_of(names, body), body, defaults=defaults, machine_types=found)


def arguments_of(body, **options):
    (found,) = requests_of(body, **options)
    return found.arguments


def test_a_run_without_machine_types_asks_for_one_task():
    assert arguments_of(SINGLE, types=None) == ["--ntasks=1"]


def test_a_machine_type_is_resources_and_options():
    assert arguments_of(SINGLE) == [
        "--ntasks=1",
        "--cpus-per-task=4",
        "--partition=gpu",
        "--constraint=fast",
        "--time=2-0",
        "--gres=gpu:k80:2",
        "--mem=7630M",
    ]


def test_the_experiment_overrides_the_machine_type_and_that_the_server():
    body = {**SINGLE, "experimentEnv": {"SBATCH_PARTITION": "debug", "SBATCH_TIMELIMIT": 90, "SBATCH_GRES": "tmp:10"}}
    found = arguments_of(body, partition="main", account="physics")
    assert {"--partition=debug", "--account=physics", "--time=90", "--gres=gpu:k80:2,tmp:10"} < {*found}


def test_memory_and_gpus_of_the_experiment_replace_those_of_the_machine_type_and_these_the_default():
    body = {**SINGLE, "experimentEnv": {"SBATCH_MEM_PER_NODE": "1G", "SBATCH_GRES": "gpu:a100:1"}}
    assert {"--mem=1G", "--gres=gpu:a100:1"} < {*arguments_of(body, mem="2G")}
    assert "--mem=7630M" in arguments_of(SINGLE, mem="2G")
    assert "--mem=2G" in arguments_of(SINGLE, types=None, mem="2G")


def test_nodes_of_one_machine_type_are_tasks_of_one_component():
    workers, servers = requests_of(MULTI, names=("worker 0", "worker 1", "parameter server 0"))
    assert {"--ntasks=2", "--gpus-per-task=k80:2", "--mem-per-cpu=1908M", "--spread-job"} < {*workers.arguments}
    assert servers.arguments == ["--ntasks=1", "--cpus-per-task=2", "--mem=3072M"]


@pytest.mark.parametrize(
    "variables",
    [
        {"SBATCH_PARTITION": "main --uid=0"},
        {"SBATCH_PARTITION": "--uid=0"},
        {"SBATCH_ACCOUNT": "a\n#SBATCH --uid=0"},
        {"SBATCH_QOS": "$(reboot)"},
        {"SBATCH_CONSTRAINT": "-x"},
        {"SBATCH_CONSTRAINT": "a;b"},
        {"SBATCH_TIMELIMIT": "soon"},
        {"SBATCH_TIMELIMIT": None},
        {"SBATCH_GRES": "gpu:1 --uid=0"},
        {"SBATCH_MEM_PER_NODE": "all"},
        {"SBATCH_RESERVATION": "r" * 201},
        {"SBATCH_PARTITON": "main"},
        {"SBATCH_OUTPUT": "/etc/passwd"},
        {"CUDA_VISIBLE_DEVICES": "0"},
    ],
    ids=str,
)
def test_what_is_no_value_is_refused_by_the_name_of_its_variable(variables):
    with pytest.raises(RunRejectedError, match=next(iter(variables))) as caught:
        requests_of({**SINGLE, "experimentEnv": variables})
    assert caught.value.member == "experimentEnv"


def test_a_machine_type_that_is_not_in_the_file_is_refused():
    with pytest.raises(RunRejectedError, match="no machine type 'V100'"):
        requests_of({**SINGLE, "machineType": "V100"})


@pytest.mark.parametrize(
    "text",
    ["exclude=m1", "-x m1", "--output=/tmp/x", "--out=/tmp/x", "--wrap=reboot", "--requeue", "--partition=main", "--"],
)
def test_further_options_that_are_none_or_belong_to_the_server_are_refused(text):
    with pytest.raises(ValueError, match=r"--|option of sbatch"):
        check_extra(text)


def test_a_further_option_is_taken_as_it_is():
    assert check_extra("--exclude=m[1-3],x") == "--exclude=m[1-3],x"


def test_the_command_line_has_an_option_for_each_option_of_sbatch(tmp_path, slurm):
    given = ["--slurm-partition=gpu", "--slurm-time=2-0", "--slurm-option=--nice", f"--slurm-runs={tmp_path}"]
    options = parse_options(["--runner", "slurm", "--slurm-python=/opt/python", *given])
    assert (options.slurm_partition, options.slurm_time, options.slurm_option) == ("gpu", "2-0", ["--nice"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slurm-partition=a b"], "argument --slurm-partition: 'a b' is no partition for Slurm"),
        (["--slurm-option=--wrap=x"], "argument --slurm-option: --wrap is set by the server"),
        (["--slots=2"], "--slots: it goes with --runner process"),
        (["--machine-types={file}"], "--machine-types: slurm.colour of the machine type 'K80' is unknown; there are"),
    ],
)
def test_wrong_options_of_the_command_line_are_refused(slurm, tmp_path, capsys, arguments, words):
    file = tmp_path / "types.toml"
    file.write_text('[K80.slurm]\ncolour = "red"\n')
    with pytest.raises(SystemExit):
        parse_options(["--runner", "slurm", *(argument.format(file=file) for argument in arguments)])
    assert words in capsys.readouterr().err


def test_options_of_slurm_are_refused_for_another_runner(capsys):
    with pytest.raises(SystemExit):
        parse_options(["--runner", "process", "--slurm-partition=gpu"])
    assert "--slurm-partition: it goes with --runner slurm" in capsys.readouterr().err


def test_a_machine_without_slurm_is_told_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit):
        parse_options(["--runner", "slurm"])
    assert "--runner slurm: sbatch is not in the PATH; it comes with the client of Slurm" in capsys.readouterr().err
