"""The documentation, snippet by snippet, against the running server over a socket."""

import inspect
import pydoc

import pytest

from gradient import ExperimentsClient, LogRow, constants


@pytest.fixture
def experiment_client(gradient_server, monkeypatch):
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    with ExperimentsClient(gradient_server.api_key) as client:
        yield client


def test_single_node(experiment_client, gradient_server, single_node):
    """Create, list, get, state, start, follow, stop, run."""
    gradient_server.clock.scale = 1
    project_id = single_node["project_id"]
    experiment_id = experiment_client.create_single_node(**single_node)
    experiments = experiment_client.list([project_id])
    assert experiments[0].id == experiment_id
    assert experiment_client.list(project_id) == experiment_client.list() == experiments
    printed = repr(experiment_client.get(experiment_id))
    assert printed == (
        "SingleNodeExperiment(name='single_node_experiment_sdk', ports=None, "
        "workspace_url='https://github.com/Paperspace/mnist-sample.git', working_directory=None, "
        "artifact_directory=None, cluster_id=None, experiment_env={'EPOCHS_EVAL': 2, 'TRAIN_EPOCHS': 3, "
        "'MAX_STEPS': 100, 'EVAL_SECS': 10}, project_id='prlvf0u05', model_type='Tensorflow', "
        f"model_path='/storage/models/sdk_test', id='{experiment_id}', state=1, "
        "container='tensorflow/tensorflow:1.13.1-gpu-py3', machine_type='K80', command='python mnist.py', "
        "container_user=None, registry_username=None, registry_password=None, registry_url=None, experiment_type_id=1)"
    )
    state = experiment_client.get(experiment_id).state
    assert "state: " + constants.ExperimentState.get_state_str(state) == "state: created"
    experiment_client.start(experiment_id)
    gradient_server.advance(30)
    log_stream = experiment_client.yield_logs(experiment_id)
    streamed = []
    try:
        while True:
            streamed.append(log_stream.send(None))
    except StopIteration:
        pass
    assert [row.line for row in streamed] == list(range(1, 21))
    logs = experiment_client.get_logs(experiment_id)
    assert logs == streamed
    assert all(isinstance(row, LogRow) for row in logs)
    assert experiment_client.state(experiment_id) == constants.ExperimentState.STOPPED
    experiment_id = experiment_client.run_single_node(**single_node)
    assert experiment_client.state(experiment_id) != constants.ExperimentState.CREATED
    experiment_client.stop(experiment_id)
    assert experiment_client.state(experiment_id) == constants.ExperimentState.CANCELLED
    experiment_client.delete(experiment_id)
    assert len(experiment_client.list()) == 1


@pytest.mark.parametrize("kind", [2, 3, "GRPC", "MPI"])
def test_multi_node(experiment_client, gradient_server, multi_node, kind):
    """Create, start, follow all jobs, stop, run."""
    gradient_server.clock.scale = 1
    experiment_id = experiment_client.create_multi_node(**{**multi_node, "experiment_type_id": kind})
    experiment_client.start(experiment_id)
    gradient_server.advance(30)
    rows = list(experiment_client.yield_logs(experiment_id, limit=7))
    jobs = {row.job_id for row in rows}
    assert len(jobs) == 3
    for job in jobs:
        assert [row.line for row in rows if row.job_id == job] == list(range(1, 21))
    experiment_id = experiment_client.run_multi_node(**{**multi_node, "experiment_type_id": kind})
    experiment_client.stop(experiment_id)
    assert len(experiment_client.list([multi_node["project_id"], "prother"])) == 2


@pytest.mark.parametrize("method", [ExperimentsClient.logs, ExperimentsClient.get_logs, ExperimentsClient.yield_logs])
def test_documented_defaults_of_logs(method):
    """From the first row on, and 10 000 at most."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(method).parameters.items()}
    assert (defaults["line"], defaults["limit"]) == (0, 10_000)


@pytest.mark.parametrize(
    ("method", "documented"),
    [
        (ExperimentsClient.create_single_node, [":param str name: Name of new experiment [required]"]),
        (ExperimentsClient.run_single_node, [":param dict experiment_env: Environment variables in a JSON"]),
        (
            ExperimentsClient.create_multi_node,
            [":param str experiment_type_id: Experiment Type ID [GRPC|MPI] [required]"],
        ),
        (ExperimentsClient.run_multi_node, [":param int worker_count: Worker count [required]", ":rtype: str"]),
    ],
)
def test_documented_help(method, documented):
    """The lines that the documentation shows are the ones that help() prints."""
    printed = [line.strip() for line in pydoc.render_doc(method, renderer=pydoc.plaintext).splitlines()]
    assert set(documented) <= set(printed)


def test_documented_help_of_the_states():
    """The class is where the documentation has it, with each of its thirteen members and the word for each."""
    shown = pydoc.render_doc(constants.ExperimentState, renderer=pydoc.plaintext)
    assert "class ExperimentState in module gradient.constants" in shown
    assert "get_state_str(state_int" in shown
    members = {"CREATED": 1, "PROVISIONED": 2, "NETWORK_SETUP": 3, "RUNNING": 4, "STOPPED": 5, "ERROR": 6, "FAILED": 7}
    members |= {"CANCELLED": 8, "NETWORK_TEARDOWN": 9, "PENDING": 10, "PROVISIONING": 11}
    members |= {"NETWORK_SETTING_UP": 12, "NETWORK_TEARING_DOWN": 13}
    assert all(f"{name} = {number}" in shown for name, number in members.items())


@pytest.mark.parametrize(
    ("word", "state"),
    [
        *(("created", 1), ("provisioned", 2), ("network setup", 3), ("running", 4), ("stopped", 5), ("error", 6)),
        *(("failed", 7), ("canceled", 8), ("network teardown", 9), ("pending", 10), ("provisioning", 11)),
        *(("network setting up", 12), ("network tearing down", 13), ("undefined", 99), ("undefined", None)),
    ],
)
def test_words_for_states(word, state):
    """Those of the first clients, to the letter: canceled has one l, though its constant has two."""
    assert constants.ExperimentState.get_state_str(state) == word
