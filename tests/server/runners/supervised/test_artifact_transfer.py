"""Artifacts of several machines in the folders of one run."""

from itertools import permutations

import pytest
from gradient_api.constants import ExperimentType

from gradient_server.runners.supervised.artifact_transfer import ArtifactCollection, folders_below
from gradient_server.runners.supervised.environment import nodes_of

BODY = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "parameterServerCommand": "serve",
    "artifactDirectory": "results",
}
NODES = nodes_of(["parameter server 0", "worker 0", "worker 1"], BODY)


@pytest.fixture
def collection(tmp_path):
    return ArtifactCollection(NODES, folders_below(tmp_path, BODY))


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_of_artifacts_with_the_same_name_that_of_the_first_leading_node_is_kept(collection, tmp_path, order):
    """Whichever comes first. Their pieces are not mixed."""
    for offset in (0, 4):
        for index in order:
            collection.write(index, "artifacts/same", offset, b"%d%d%d\n" % (index, index, index), 1.0)
    assert (tmp_path / "workspace" / "results" / "same").read_text() == "111\n111\n"


@pytest.mark.parametrize("name", ["artifacts", "artifacts/../x", "artifacts//x", "other/x", "../x", "/etc/x"])
def test_what_is_no_name_of_an_artifact_is_written_nowhere(collection, tmp_path, name):
    collection.write(1, name, 0, b"content", 1.0)
    assert list(tmp_path.rglob("*")) == []
