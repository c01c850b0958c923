"""The nodes of an experiment, and the environment of each."""

import json
import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentType

from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.supervised.environment import (
    Network,
    command_variables,
    free_network,
    ignored_parameters,
    node_environment,
    nodes_of,
    supervisor_environment,
    write_host_file,
)

GRPC = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "workerCount": 2,
    "parameterServerCommand": "serve",
    "parameterServerCount": 1,
}
NAMES = ["worker 0", "worker 1", "parameter server 0"]
SINGLE = {"experimentTypeId": int(ExperimentType.SINGLE_NODE), "command": "run"}
MPI = {
    "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE),
    "workerCommand": "wait",
    "workerCount": 1,
    "masterCommand": "mpirun",
    "masterCount": 1,
}


def environment(node, addresses=(), body=SINGLE, server=(), **place):
    given = {"handle": "es1", "body": body, "server": dict(server), "storage": Path("/runs/es1/storage"), **place}
    return node_environment(node, Network(addresses=dict(addresses), rendezvous="h:29500"), **given)


def facts(nodes):
    return [(node.name, node.type, node.index, node.command, node.leads) for node in nodes]


def test_workers_lead_an_experiment_and_with_mpi_the_master_does():
    assert facts(nodes_of(["worker 0"], SINGLE)) == [("worker 0", "worker", 0, "run", True)]
    assert facts(nodes_of(NAMES, GRPC)) == [
        ("worker 0", "worker", 0, "work", True),
        ("worker 1", "worker", 1, "work", True),
        ("parameter server 0", "ps", 0, "serve", False),
    ]
    assert facts(nodes_of(["worker 0", "master 0"], MPI)) == [
        ("worker 0", "worker", 0, "wait", False),
        ("master 0", "master", 0, "mpirun", True),
    ]


def test_with_mpi_the_parameter_server_of_an_old_client_is_the_master():
    body = {**GRPC, "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE)}
    assert facts(nodes_of(NAMES, body))[2] == ("parameter server 0", "master", 0, "serve", True)
    assert [node.leads for node in nodes_of(NAMES, body)] == [False, False, True]


# The list that docs/security.md promises.
PASSED_ON = (
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "LANG", "LANGUAGE", "LC_ALL", "LC_ADDRESS"}
    | {"LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES", "LC_MONETARY", "LC_NAME"}
    | {"LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"}
    | {"DYLD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"}
)
SECRETS_AND_HOOKS = (
    {"LC_DEPLOY_TOKEN", "LC_", "LC_ALL_SECRET", "lc_all", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "BASH_ENV"}
    | {"ENV", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PERL5OPT", "NODE_OPTIONS", "GIT_SSH_COMMAND", "TZ_"}
    | {"SSH_AUTH_SOCK", "PAPERSPACE_API_KEY", "AWS_SECRET_ACCESS_KEY", "PATHS", "HOME_DIR", "LANG_TOKEN", "CUDA_TOKEN"}
    | {"GRADIENT_RUN", "XDG_STATE_HOME", "HTTPS_PROXY", "PS_CONFIG", "BASH_FUNC_ls%%"}
)


def test_supervisors_see_besides_what_fetching_a_workspace_needs():
    fetching = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSH_AUTH_SOCK"}
    fetching |= {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    server = dict.fromkeys((*PASSED_ON, *fetching, "SECRET", "SSH_AGENT_PID", "HTTP_PROXY_PASSWORD"), "x")
    assert supervisor_environment(server) == dict.fromkeys(PASSED_ON | fetching, "x")


def test_only_the_variables_of_a_short_list_are_passed_on():
    server = {name: f"{name} of the server" for name in sorted(PASSED_ON | SECRETS_AND_HOOKS)}
    assert command_variables(server).items() >= {name: server[name] for name in PASSED_ON - {"PATH"}}.items()
    assert set(command_variables(server)) == PASSED_ON


def test_the_interpreter_of_the_server_comes_first_in_the_path():
    """Once, and also where the server has no PATH: sh would look in its own default."""
    folder = os.path.dirname(sys.executable)
    assert command_variables({"PATH": "/usr/bin:/bin"})["PATH"] == f"{folder}:/usr/bin:/bin"
    assert command_variables({"PATH": f"{folder}:/bin"})["PATH"] == f"{folder}:/bin"
    assert command_variables({})["PATH"] == f"{folder}:{os.defpath}"


@pytest.mark.parametrize(
    ("names", "passed"),
    [
        (["WANDB_API_KEY"], {"WANDB_API_KEY"}),
        (["WANDB_*", "MISSING"], {"WANDB_API_KEY", "WANDB_MODE"}),
        (["*_MODE", "*API*"], {"WANDB_API_KEY", "WANDB_MODE"}),
        (["wandb_mode"], set()),
        # The loader's are named in full, and the mark of an outer run and functions of bash are never passed on.
        (["*"], {"WANDB_API_KEY", "WANDB_MODE"}),
        (["LD_*", "DYLD_*"], set()),
        (["LD_PRELOAD"], {"LD_PRELOAD"}),
    ],
)
def test_more_variables_are_passed_on_by_name(names, passed):
    given = ("WANDB_API_KEY", "WANDB_MODE", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "GRADIENT_RUN", "BASH_FUNC_ls%%")
    assert set(command_variables(dict.fromkeys(given, "x"), names)) == {"PATH", *passed}


def test_a_command_finds_python_its_model_folder_and_the_passed_variables_that_the_experiment_does_not_set(
    make_bench, monkeypatch
):
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_SECRET"):
        monkeypatch.setenv(name, f"the {name} of the server")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    bench = make_bench(pass_env=["WANDB_MODE", "WANDB_P*"])
    command = 'python -c "import sys; print(sys.prefix)"; test -d "$PS_MODEL_PATH" && env | grep ^WANDB_ | sort'
    run = bench.done(command, experimentEnv={"WANDB_PROJECT": "mine"}, modelPath="/storage/models/a/b")
    expected = [sys.prefix, "WANDB_MODE=the WANDB_MODE of the server", "WANDB_PROJECT=mine"]
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), expected)


def test_a_model_folder_that_cannot_be_made_is_in_the_log_and_the_run_goes_on(bench):
    run = bench.done("echo done", modelPath="/dev/null/models")
    expected = "The folder of modelPath, /dev/null/models, cannot be made: Not a directory"
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), [expected, "done"])


@pytest.mark.parametrize("name", ["", "A B", "A=1", "1A", "GRADIENT_RUN"])
def test_names_that_cannot_be_passed_on_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"name of a variable|the processes of a run"):
        ProcessRunner(tmp_path, slots=1, pass_env=[name])


# What `init_process_group(init_method="env://")` of torch does, without torch: the first worker listens, all others
# come to it and say who they are, and each is told of all.
RENDEZVOUS = """
import os, socket, time
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(place) as listener:
        others = [listener.accept()[0] for _ in range(size - 1)]
        ranks = sorted([rank, *(int(other.recv(9)) for other in others)])
        for other in others:
            other.sendall(repr(ranks).encode())
else:
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = socket.create_connection(place)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    connection.sendall(str(rank).encode())
    ranks = eval(connection.recv(99))
print("rank", rank, "local", os.environ["LOCAL_RANK"], "of", size, "met", ranks)
"""


def test_the_workers_of_an_experiment_meet_as_torch_has_them_do(bench):
    bench.directory.joinpath("meet.py").write_text(RENDEZVOUS)
    serves = "echo ${RANK-none} of ${WORLD_SIZE-none}, $MASTER_ADDR; touch served; exec sleep 60"
    works = f"python {bench.directory}/meet.py; while [ ! -e served ]; do sleep 0.02; done"
    run = bench.done(**{**GRPC, "workerCommand": works, "workerCount": 3, "parameterServerCommand": serves})
    printed = [bench.rows(run, job.name) for job in run.jobs]
    assert printed == [
        *([f"rank {rank} local {rank} of 3 met [0, 1, 2]"] for rank in range(3)),
        ["none of none, 127.0.0.1"],
    ]


def test_the_local_rank_counts_the_workers_of_the_same_machine():
    workers = nodes_of(["worker 0", "worker 1", "worker 2"], GRPC)
    addresses = dict(zip(workers, ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.2:2"], strict=True))
    assert [environment(worker, addresses)["LOCAL_RANK"] for worker in workers] == ["0", "0", "1"]


def test_a_single_node_meets_itself(bench):
    bench.directory.joinpath("meet.py").write_text(RENDEZVOUS)
    assert bench.rows(bench.done(f"python {bench.directory}/meet.py")) == ["rank 0 local 0 of 1 met [0]"]


def test_processes_of_mpirun_have_no_ranks_of_ours():
    for node in nodes_of(["worker 0", "master 0"], MPI):
        found = environment(node, dict.fromkeys(nodes_of(["worker 0", "master 0"], MPI), "h:1"), MPI)
        assert {"RANK", "LOCAL_RANK", "WORLD_SIZE"}.isdisjoint(found)
        assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("h", "29500")


def test_experiment_env_overrides_variables():
    """Values become text; null removes a variable. Output of Python is not buffered otherwise."""
    given = {"A": 1.5, "B": True, "C": "x y", "WORK_ENV": "mine", "TZ": None}
    found = environment(*nodes_of(["worker 0"], SINGLE), body={**SINGLE, "experimentEnv": given}, server={"TZ": "UTC"})
    expected = {"A": "1.5", "B": "true", "C": "x y", "WORK_ENV": "mine", "PYTHONUNBUFFERED": "1"}
    assert found.items() >= expected.items()
    assert "TZ" not in found


def test_a_single_node_has_no_variables_of_a_cluster():
    """Programs look at PS_CONFIG and TYPE to find out whether they are alone."""
    found = environment(*nodes_of(["worker 0"], SINGLE), server={"PATH": "/bin"})
    assert {"PS_CONFIG", "TYPE", "INDEX", "WORKER_HOSTS", "PS_HOSTS"} & set(found) == set()
    assert found == {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "1",
        "GIT_CEILING_DIRECTORIES": "/runs/es1",
        "EXPERIMENT_NAME": "",
        "PAPERSPACE_EXPERIMENT_ID": "es1",
        "PAPERSPACE_METRIC_WORKLOAD_ID": "es1",
        "PAPERSPACE_METRIC_WORKLOAD_TYPE": "experiment",
        "HOSTNAME": "worker-es1-0",
        "PS_JOBSPACE": "/runs/es1/storage",
        "PS_MODEL_PATH": "/runs/es1/storage/models",
        "WORK_ENV": "local",
        "MASTER_ADDR": "h",
        "MASTER_PORT": "29500",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
    }


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (None, "/runs/es1/storage/models"),
        ("/storage/models/mine", "/runs/es1/storage/models/mine"),
        ("mine", "/runs/es1/storage/mine"),
        ("/home/me/models", "/home/me/models"),
    ],
)
def test_model_paths_on_the_storage_of_the_service_are_on_the_storage_of_the_run(given, path):
    assert environment(*nodes_of(["worker 0"], SINGLE), body={**SINGLE, "modelPath": given})["PS_MODEL_PATH"] == path


def test_ps_config_describes_the_cluster_for_tensorflow():
    """One node is the master: the first worker if there is no other."""
    nodes = nodes_of(["worker 0", "parameter server 0"], {**GRPC, "workerCount": 1})
    addresses = dict(zip(nodes, ["h:1", "h:2"], strict=True))
    config = json.loads(urlsafe_b64decode(environment(nodes[1], addresses, GRPC)["PS_CONFIG"]))
    assert config == {
        "cluster": {"master": ["h:1"], "ps": ["h:2"]},
        "task": {"type": "ps", "index": 0},
        "environment": "cloud",
    }
    nodes = nodes_of(["worker 0", "master 0"], MPI)
    addresses = dict(zip(nodes, ["h:1", "h:2"], strict=True))
    config = json.loads(urlsafe_b64decode(environment(nodes[0], addresses, MPI)["PS_CONFIG"]))
    assert config["cluster"] == {"worker": ["h:1"], "master": ["h:2"]}
    assert config["task"] == {"type": "worker", "index": 0}


def test_each_node_of_a_cluster_and_the_rendezvous_have_a_port_of_the_loopback():
    nodes = nodes_of([f"worker {number}" for number in range(40)], GRPC)
    network = free_network(nodes)
    addresses = [address.split(":") for address in (network.rendezvous, *network.addresses.values())]
    assert {host for host, _ in addresses} == {"127.0.0.1"}
    assert len({port for _, port in addresses}) == 41
    assert len(free_network(nodes[:1]).addresses) == 1
    assert free_network(nodes_of(["worker 0"], SINGLE)).addresses == {}


def test_the_host_file_is_in_the_variables_of_every_mpirun():
    found = environment(*nodes_of(["worker 0"], SINGLE), host_file=Path("/runs/es1/hostfile"))
    assert [name for name, value in found.items() if value == "/runs/es1/hostfile"] == [
        "OMPI_MCA_orte_default_hostfile",
        "PRTE_MCA_prte_default_hostfile",
        "HYDRA_HOST_FILE",
    ]


def test_ignored_parameters_of_several_nodes_are_named_once_without_secrets():
    given = {**MPI, "masterRegistryUsername": "me", "masterRegistryPassword": "sesame", "masterContainer": "c"}
    given |= {"workerContainer": "w", "workerMachineType": "local", "clusterId": "x"}
    assert ignored_parameters(nodes_of(["worker 0", "master 0"], MPI), given, "here") == (
        "This runs here: masterRegistryUsername, masterRegistryPassword, "
        "masterContainer c, workerContainer w and clusterId are not used."
    )


def test_what_only_describes_an_experiment_is_not_named_as_ignored():
    described = {"name": "mnist", "tags": ["baseline"], "note": "Diverges.", "projectHandle": "pr1"}
    assert ignored_parameters(nodes_of(["worker 0"], SINGLE), {**SINGLE, **described}, "here") is None


def test_mpirun_can_be_started_by_root_and_binds_no_process_to_a_processor():
    found = environment(*nodes_of(["worker 0"], SINGLE), host_file=Path("/runs/es1/hostfile"))
    expected = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    assert found.items() >= {**expected, "OMPI_MCA_hwloc_base_binding_policy": "none"}.items()


def test_the_host_file_is_never_written_through_a_link(tmp_path):
    (tmp_path / "mpirun").write_text("")
    (tmp_path / "mpirun").chmod(0o700)
    (tmp_path / "hostfile").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        write_host_file(tmp_path / "hostfile", Network(addresses={}, rendezvous="h:1"), str(tmp_path))
    assert not (tmp_path / "victim").exists()


def test_the_host_file_has_each_machine_once_with_a_slot_for_each_node(tmp_path):
    (tmp_path / "mpirun").write_text("")
    (tmp_path / "mpirun").chmod(0o700)
    nodes = nodes_of(["worker 0", "worker 1", "master 0"], MPI)
    addresses = dict(zip(nodes, ["10.0.0.2:1", "10.0.0.3:1", "10.0.0.2:2"], strict=True))
    write_host_file(tmp_path / "hostfile", Network(addresses=addresses, rendezvous="h:1"), str(tmp_path))
    assert (tmp_path / "hostfile").read_text() == "10.0.0.2 slots=2\n10.0.0.3 slots=1\n"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"name": "n", "workspaceUrl": "none", "container": "", "isPreemptible": False}, None),
        ({f"workspace{name}": "x" for name in ("Url", "Ref", "Username", "Password")}, None),
        (dict.fromkeys(("projectHandle", "modelType", "modelPath", "workingDirectory"), "x"), None),
        ({"container": "c"}, "container c is"),
        ({"machineType": "K80", "registryPassword": "secret"}, "machineType K80 and registryPassword are"),
        # A parameter of a later contract.
        ({"container": "c", "machineType": "m", "gpuCount": 2}, "container c, machineType m and gpuCount are"),
        ({"artifactDirectory": "/artifacts"}, "artifactDirectory /artifacts is"),
        ({"artifactDirectory": "artifacts"}, None),
        ({"container": "none", "machineType": "local"}, None),
    ],
)
def test_ignored_parameters_are_named_without_secrets(given, named):
    text = named and f"This runs as a process: {named} not used."
    assert ignored_parameters(nodes_of(["worker 0"], SINGLE), {**SINGLE, **given}, "as a process") == text


@pytest.fixture(scope="module")
def gradient_utils(tmp_path_factory):
    """The published library that programs use inside of experiments, in a folder of its own."""
    folder = tmp_path_factory.mktemp("gradient-utils")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "gradient-utils==0.5.0"]
    try:
        said = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("gradient-utils 0.5.0 could not be installed within two minutes")
    if said.returncode:
        pytest.skip(f"gradient-utils 0.5.0 cannot be installed here: {said.stderr.strip()[-200:]}")
    return folder


USING = """
import json, os
from gradient_utils import data_dir, export_dir, get_tf_config, job_name, model_dir, ps_hosts, task_index, worker_hosts
from gradient_utils.metrics.env import get_workload_id, get_workload_type

get_tf_config()
print(json.dumps({
    "tf_config": json.loads(os.environ["TF_CONFIG"]), "job_name": job_name(), "task_index": task_index(),
    "worker_hosts": worker_hosts(), "ps_hosts": ps_hosts(), "data_dir": data_dir(), "model_dir": model_dir("m"),
    "export_dir": export_dir(), "workload": [get_workload_type(), get_workload_id()],
}))
"""


def test_gradient_utils_finds_in_every_node_what_it_found_on_the_hosted_service(bench, gradient_utils):
    bench.directory.joinpath("using.py").write_text(USING)
    command = f"{sys.executable} {bench.directory}/using.py"
    env = {"PYTHONPATH": str(gradient_utils)}
    # Parameter servers are stopped when the workers have ended, which is not to be before they have printed.
    serves = f"{command}; touch served-$INDEX; exec sleep 60"
    works = f"{command}; while [ ! -e served-0 ] || [ ! -e served-1 ]; do sleep 0.02; done"
    given = {**GRPC, "workerCommand": works, "parameterServerCommand": serves}
    given |= {"workerCount": 3, "parameterServerCount": 2}
    run = bench.done(**given, experimentEnv=env, modelPath="/storage/models/mine")
    assert bench.outcome(run) == ("stopped", None), bench.rows(run, "worker 0")
    nodes = {job.name: json.loads(bench.rows(run, job.name)[0]) for job in run.jobs}
    workers = nodes["worker 0"]["worker_hosts"].split(",")
    servers = nodes["worker 0"]["ps_hosts"].split(",")
    assert (len(set(workers)), len(set(servers))) == (3, 2)
    storage = bench.directory / "es1" / "storage"
    tasks = {}
    for name, found in nodes.items():
        assert found["worker_hosts"] == ",".join(workers)
        assert found["ps_hosts"] == ",".join(servers)
        assert found["tf_config"]["cluster"] == {"master": workers[:1], "worker": workers[1:], "ps": servers}
        assert found["tf_config"]["environment"] == "cloud"
        assert found["data_dir"] == str(storage)
        assert found["model_dir"] == str(storage / "models/mine/m")
        assert found["export_dir"] == str(storage / "models/mine")
        assert found["workload"] == ["experiment", "es1"]
        tasks[name] = (found["job_name"], found["task_index"], *found["tf_config"]["task"].values())
    assert tasks == {
        "worker 0": ("worker", "0", "master", 0),
        "worker 1": ("worker", "1", "worker", 0),
        "worker 2": ("worker", "2", "worker", 1),
        "parameter server 0": ("ps", "0", "ps", 0),
        "parameter server 1": ("ps", "1", "ps", 1),
    }
