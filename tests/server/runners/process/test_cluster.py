"""Where the nodes of an experiment find each other."""

from gradient_api.constants import ExperimentType

from gradient_server.runners.process.cluster import addresses_of
from gradient_server.runners.process.nodes import nodes_of

BODY = {"experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE), "workerCommand": "work"}


def test_nodes_listen_where_only_this_machine_can_reach_them():
    """Each at a port of its own: what they say to each other is nobody else's."""
    nodes = nodes_of([f"worker {number}" for number in range(1, 41)], BODY)
    places = [address.split(":") for address in addresses_of(nodes).values()]
    assert {host for host, _ in places} == {"127.0.0.1"}
    assert len({port for _, port in places}) == len(nodes)


def test_one_that_is_alone_listens_nowhere():
    """A node that is the only one of several that could be is told all the same."""
    assert addresses_of(nodes_of(["worker"], {"experimentTypeId": 1, "command": "run"})) == {}
    assert len(addresses_of(nodes_of(["worker 1"], BODY))) == 1
