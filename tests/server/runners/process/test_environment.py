"""The nodes of an experiment, and the environment of each."""

import json
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentType

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.process.environment import (
    ignored_parameters,
    node_addresses,
    node_environment,
    nodes_of,
    passed_on,
)
from gradient_server.runners.process.limits import check_request

GRPC = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "workerCount": 2,
    "parameterServerCommand": "serve",
    "parameterServerCount": 1,
}
NAMES = ["worker 1", "worker 2", "parameter server 1"]
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
    return node_environment(node, dict(addresses), **given)


def facts(nodes):
    return [(node.name, node.type, node.index, node.command, node.leads) for node in nodes]


def test_workers_lead_an_experiment_and_with_mpi_the_master_does():
    assert facts(nodes_of(["worker"], SINGLE)) == [("worker", "worker", 0, "run", True)]
    assert facts(nodes_of(NAMES, GRPC)) == [
        ("worker 1", "worker", 0, "work", True),
        ("worker 2", "worker", 1, "work", True),
        ("parameter server 1", "ps", 0, "serve", False),
    ]
    assert facts(nodes_of(["worker 1", "master 1"], MPI)) == [
        ("worker 1", "worker", 0, "wait", False),
        ("master 1", "master", 0, "mpirun", True),
    ]


def test_with_mpi_the_parameter_server_of_an_old_client_is_the_master():
    body = {**GRPC, "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE)}
    assert facts(nodes_of(NAMES, body))[2] == ("parameter server 1", "master", 0, "serve", True)
    assert [node.leads for node in nodes_of(NAMES, body)] == [False, False, True]


def test_only_variables_that_programs_need_are_passed_on():
    server = {"PATH": "/bin", "LC_TIME": "C", "TZ": "UTC", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/x", "FOO": "x"}
    assert passed_on(server) == {"PATH": "/bin", "LC_TIME": "C", "TZ": "UTC"}


def test_a_single_node_has_no_variables_of_a_cluster():
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
def test_model_paths_on_the_storage_of_the_service_are_on_the_storage_of_the_run(given, path):
    assert environment(*nodes_of(["worker"], SINGLE), body={**SINGLE, "modelPath": given})["PS_MODEL_PATH"] == path


def test_ps_config_describes_the_cluster_for_tensorflow():
    """One node is the master: the first worker if there is no other."""
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


def test_each_node_of_a_cluster_listens_on_a_port_of_the_loopback():
    nodes = nodes_of([f"worker {number}" for number in range(1, 41)], GRPC)
    addresses = [address.split(":") for address in node_addresses(nodes).values()]
    assert {host for host, _ in addresses} == {"127.0.0.1"}
    assert len({port for _, port in addresses}) == 40
    assert len(node_addresses(nodes[:1])) == 1
    assert node_addresses(nodes_of(["worker"], SINGLE)) == {}


def test_the_host_file_is_in_the_variables_of_every_mpirun():
    found = environment(*nodes_of(["worker"], SINGLE), host_file=Path("/runs/es1/hostfile"))
    assert [name for name, value in found.items() if value == "/runs/es1/hostfile"] == [
        "OMPI_MCA_orte_default_hostfile",
        "PRTE_MCA_prte_default_hostfile",
        "HYDRA_HOST_FILE",
    ]


def test_ignored_parameters_are_named():
    (node,) = nodes_of(["worker"], SINGLE)
    body = {**SINGLE, "name": "n", "workspaceUrl": "none", "container": "", "isPreemptible": False}
    assert ignored_parameters(node, body, frozenset({""})) is None
    assert ignored_parameters(node, {**body, "container": "c"}, frozenset({""})) == (
        "This runs as a process of the server's machine: container c is not used."
    )


def test_a_parameter_of_a_later_contract_is_reported_as_ignored():
    (node,) = nodes_of(["worker"], SINGLE)
    assert "gpuCount is not used" in (ignored_parameters(node, {**SINGLE, "gpuCount": 2}, frozenset({""})) or "")


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({**GRPC, "workerCount": 64, "parameterServerCount": 1}, "workerCount"),
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
def test_a_request_that_cannot_be_run_is_rejected_by_field(body, member):
    with pytest.raises(RunRejectedError) as caught:
        check_request(body)
    assert caught.value.member == member


def test_the_most_nodes_and_any_value_of_a_variable_are_accepted():
    check_request({**GRPC, "workerCount": 63, "experimentEnv": {"A": None, "B": "=", "C": 1.5}})
