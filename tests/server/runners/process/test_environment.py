"""The environment of nodes, and what they are: pure functions."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentType

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.process.bounds import check
from gradient_server.runners.process.environment import Place, node_environment, passed_on
from gradient_server.runners.process.nodes import MOST_NODES, nodes_of
from gradient_server.runners.process.not_used import first_row

GRPC = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "workerCount": 2,
    "parameterServerCommand": "serve",
    "parameterServerCount": 1,
}
TITLES = ["worker 1", "worker 2", "parameter server 1"]
SINGLE = {"experimentTypeId": int(ExperimentType.SINGLE_NODE), "command": "run"}
MPI = {
    "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE),
    "workerCommand": "wait",
    "workerCount": 1,
    "masterCommand": "mpirun",
    "masterCount": 1,
}


def environment(node, addresses=(), body=SINGLE, server=(), **place):
    place = Place(storage=Path("/runs/es1/storage"), **place)
    return node_environment(node, dict(addresses), handle="es1", body=body, place=place, server=dict(server))


def facts(nodes):
    return [(node.name, node.type, node.index, node.command, node.leads) for node in nodes]


def test_nodes_are_what_the_experiment_says():
    """Workers decide how long an experiment goes on; with MPI, the master does."""
    assert facts(nodes_of(["worker"], SINGLE)) == [("worker", "worker", 0, "run", True)]
    assert facts(nodes_of(TITLES, GRPC)) == [
        ("worker 1", "worker", 0, "work", True),
        ("worker 2", "worker", 1, "work", True),
        ("parameter server 1", "ps", 0, "serve", False),
    ]
    assert facts(nodes_of(["worker 1", "master 1"], MPI)) == [
        ("worker 1", "worker", 0, "wait", False),
        ("master 1", "master", 0, "mpirun", True),
    ]


def test_earlier_clients_have_no_name_for_the_master():
    """With MPI they send it as a parameter server."""
    body = {**GRPC, "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE)}
    assert facts(nodes_of(TITLES, body))[2] == ("parameter server 1", "master", 0, "serve", True)
    assert [node.leads for node in nodes_of(TITLES, body)] == [False, False, True]


def test_only_what_programs_need_is_passed_on():
    """Anything else could be a secret, also what nobody has thought of."""
    server = {"PATH": "/bin", "LC_TIME": "C", "TZ": "UTC", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/x", "FOO": "x"}
    assert passed_on(server) == {"PATH": "/bin", "LC_TIME": "C", "TZ": "UTC"}


def test_a_single_node_is_no_cluster():
    """Programs look at PS_CONFIG and TYPE to find out whether they are alone."""
    found = environment(*nodes_of(["worker"], SINGLE), server={"PATH": "/bin", "PS_CONFIG": "x"})
    assert {"PS_CONFIG", "TYPE", "INDEX", "WORKER_HOSTS", "PS_HOSTS"} & set(found) == set()
    assert found["WORK_ENV"] == "local"
    assert found["PAPERSPACE_METRIC_WORKLOAD_ID"] == found["HOSTNAME"].split("-")[1] == "es1"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (None, "/runs/es1/storage/models"),
        ("/storage/models/mine", "/runs/es1/storage/models/mine"),
        ("mine", "/runs/es1/storage/mine"),
        ("/home/me/models", "/home/me/models"),
    ],
)
def test_models_are_on_the_storage_of_the_run(given, path):
    """What was a path on the storage of the service is one on that of the run; others are what they are."""
    assert environment(*nodes_of(["worker"], SINGLE), body={**SINGLE, "modelPath": given})["PS_MODEL_PATH"] == path


def test_the_cluster_is_described_as_tensorflow_wants_it():
    """One node is the master; without workers beside it, none are named."""
    nodes = nodes_of(["worker 1", "parameter server 1"], {**GRPC, "workerCount": 1})
    addresses = dict(zip(nodes, ["h:1", "h:2"], strict=True))
    config = json.loads(urlsafe_b64decode(environment(nodes[1], addresses, GRPC)["PS_CONFIG"]))
    assert config == {
        "cluster": {"master": ["h:1"], "ps": ["h:2"]},
        "task": {"type": "ps", "index": 0},
        "environment": "cloud",
    }
    nodes = nodes_of(["worker 1", "master 1"], MPI)
    addresses = dict(zip(nodes, ["h:1", "h:2"], strict=True))
    config = json.loads(urlsafe_b64decode(environment(nodes[0], addresses, MPI)["PS_CONFIG"]))
    assert config["cluster"] == {"worker": ["h:1"], "master": ["h:2"]}
    assert config["task"] == {"type": "worker", "index": 0}


def test_mpirun_is_told_of_the_host_file():
    """By a variable that it reads, whichever it is."""
    found = environment(*nodes_of(["worker"], SINGLE), host_file=Path("/runs/es1/hostfile"))
    assert [name for name, value in found.items() if value == "/runs/es1/hostfile"] == [
        "OMPI_MCA_orte_default_hostfile",
        "PRTE_MCA_prte_default_hostfile",
        "HYDRA_HOST_FILE",
    ]


def test_where_all_is_used_nothing_is_said():
    """There is no first row about nothing."""
    (node,) = nodes_of(["worker"], SINGLE)
    body = {**SINGLE, "name": "n", "workspaceUrl": "none", "container": "", "isPreemptible": False}
    assert first_row(node, body, frozenset({""})) is None
    assert first_row(node, {**body, "container": "c"}, frozenset({""})) == (
        "This runs as a process of the server's machine: container c is not used."
    )


def test_what_the_contract_will_know_is_not_used():
    """A parameter that nobody here knows is not silently dropped."""
    (node,) = nodes_of(["worker"], SINGLE)
    assert "gpuCount is not used" in (first_row(node, {**SINGLE, "gpuCount": 2}, frozenset({""})) or "")


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({**GRPC, "workerCount": MOST_NODES, "parameterServerCount": 1}, "workerCount"),
        ({**SINGLE, "experimentEnv": {"A=B": 1}}, "experimentEnv"),
        ({**SINGLE, "experimentEnv": {"": 1}}, "experimentEnv"),
        ({**SINGLE, "experimentEnv": {"A": "\0"}}, "experimentEnv"),
        ({**SINGLE, "command": "a\0b"}, "command"),
        ({**GRPC, "parameterServerCommand": "a\0b"}, "parameterServerCommand"),
        ({**SINGLE, "name": "a\0b"}, "name"),
        ({**SINGLE, "workingDirectory": "a\0b"}, "workingDirectory"),
        ({**SINGLE, "workspacePassword": "a\0b"}, "workspacePassword"),
    ],
)
def test_what_cannot_be_run_is_refused(body, member):
    """Before anything is kept, with the member that is wrong."""
    with pytest.raises(RunRejectedError) as caught:
        check(body)
    assert caught.value.member == member


def test_what_can_be_run_is_not_refused():
    """As many nodes as there may be, and any value of a variable."""
    check({**GRPC, "workerCount": MOST_NODES - 1, "experimentEnv": {"A": None, "B": "=", "C": 1.5}})
