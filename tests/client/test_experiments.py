"""Experiments are read from all generations of stored parameters, and print as documented."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient import BaseExperiment, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext.experiments import experiment_from, job_count

DOCUMENTED = (
    "SingleNodeExperiment(name='single_node_experiment-sdk', ports=None, "
    "workspace_url='https://github.com/Paperspace/mnist-sample.git', "
    "working_directory=None, artifact_directory=None, cluster_id=None, "
    "experiment_env={'EVAL_SECS': 10, 'MAX_STEPS': 100, 'TRAIN_EPOCHS': 3, "
    "'EPOCHS_EVAL': 2}, project_id='prlvf0u05', model_type='Tensorflow', "
    "model_path='/storage/models/sdk_test', id='esxfbgzu7xanst', state=1, "
    "container='tensorflow/tensorflow:1.13.1-gpu-py3', machine_type='K80', "
    "command='python mnist.py', container_user=None, registry_username=None, "
    "registry_password=None, registry_url=None, experiment_type_id=1)"
)
OUTER = {
    "handle": "esxfbgzu7xanst",
    "id": 5241,
    "experimentTypeId": 1,
    "state": 1,
    "projectHandle": "prlvf0u05",
    "projectId": 612,
    "experimentError": None,
    "dtCreated": "2019-08-06T17:20:11.462913+00:00",
}
MIXED_CASE = {
    "name": "single_node_experiment-sdk",
    "project_handle": "prlvf0u05",
    "project_id": 612,
    "trigger_event_id": 7,
    "worker_command": "python mnist.py",
    "worker_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "worker_machine_type": "K80",
    "worker_count": 1,
    "experimentTypeId": 1,
    "experimentEnv": {"EVAL_SECS": 10, "MAX_STEPS": 100, "TRAIN_EPOCHS": 3, "EPOCHS_EVAL": 2},
    "workspaceUrl": "https://github.com/Paperspace/mnist-sample.git",
    "modelType": "Tensorflow",
    "modelPath": "/storage/models/sdk_test",
}
ALL_SNAKE = {
    "name": "single_node_experiment-sdk",
    "project_handle": "prlvf0u05",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "machine_type": "K80",
    "experiment_env": {"EVAL_SECS": 10, "MAX_STEPS": 100, "TRAIN_EPOCHS": 3, "EPOCHS_EVAL": 2},
    "workspace_url": "https://github.com/Paperspace/mnist-sample.git",
    "model_type": "Tensorflow",
    "model_path": "/storage/models/sdk_test",
    "version": "v2",
}
LEGACY_JOB = {
    "clusterId": 342,
    "command": "python mnist.py",
    "containerUrl": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "isPreemptible": False,
    "machineType": "K80",
    "name": "job 5",
    "ports": 5000,
    "projectId": "prlvf0u05",
    "startedByUserId": "u1",
    "workspaceUrl": "s3://bucket/key",
}


def read(params, **outer):
    answer = {**OUTER, **outer, "templateHistory": {"id": 1, "params": params}}
    return experiment_from(copy.deepcopy(answer))


@pytest.mark.parametrize("params", [MIXED_CASE, ALL_SNAKE], ids=["mixed case", "all snake case"])
def test_the_documented_form(params):
    """Both generations of native experiments print to the letter as the documentation shows."""
    assert repr(read(params)) == DOCUMENTED


def test_a_legacy_job():
    """Jobs that were stored as experiments keep their project and container, and numbers become texts."""
    experiment = read(LEGACY_JOB, projectHandle=None)
    assert isinstance(experiment, SingleNodeExperiment)
    assert experiment.project_id == "prlvf0u05"
    assert experiment.container == "tensorflow/tensorflow:1.13.1-gpu-py3"
    assert (experiment.machine_type, experiment.ports, experiment.cluster_id) == ("K80", "5000", "342")


def test_a_legacy_job_takes_its_project_from_around_it():
    """Where the parameters do not know the project, the experiment does."""
    assert read({"command": "ls", "container": "busybox", "workspaceFileName": "none"}).project_id == "prlvf0u05"


@pytest.mark.parametrize("history", [None, {}, {"params": None}, {"params": {}}])
def test_missing_parameters(history):
    """Without parameters everything that they would say is None."""
    experiment = experiment_from({**OUTER, "templateHistory": history})
    assert (experiment.id, experiment.state, experiment.project_id) == ("esxfbgzu7xanst", 1, "prlvf0u05")
    assert (experiment.name, experiment.command, experiment.experiment_env) == (None, None, None)
    assert experiment_from(OUTER).name is None


def test_a_stored_parameter_cannot_replace_what_the_experiment_is():
    """The first clients took `state`, `id` and the type from the parameters if they were there."""
    experiment = read({**ALL_SNAKE, "state": 5, "id": "other", "experiment_type_id": 2, "experimentTypeId": 2})
    assert (experiment.state, experiment.id, experiment.experiment_type_id) == (1, "esxfbgzu7xanst", 1)


@pytest.mark.parametrize("history", ["text", ["params"], 7, {"params": "text"}, {"params": [1]}])
def test_parameters_that_are_none(history):
    """What is no object where the parameters should be is as good as nothing."""
    assert experiment_from({**OUTER, "templateHistory": history}).name is None


@pytest.mark.parametrize("member", ["handle", "state", "experimentTypeId"])
@pytest.mark.parametrize("wrong", [None, [], {}, True, float("nan")])
def test_an_experiment_says_which_it_is_of_what_kind_and_in_what_state(member, wrong):
    """Whatever cannot be that is named in an error."""
    with pytest.raises(ValueError, match=f"{member} is "):
        experiment_from({**OUTER, member: wrong})


def test_an_empty_handle_is_none():
    """It would lead to all experiments."""
    with pytest.raises(ValueError, match="handle is an empty string"):
        experiment_from({**OUTER, "handle": ""})


@pytest.mark.parametrize("type_id", [2, 3])
def test_multi_node_experiments(type_id):
    """Workers, parameter servers and masters are read, counts as numbers even when stored as text."""
    stored = {"worker_count": "2", "parameter_server_count": 1, "master_count": 1, "worker_command": "ls"}
    experiment = read(stored, experimentTypeId=type_id)
    assert isinstance(experiment, MultiNodeExperiment)
    assert (experiment.worker_count, experiment.worker_command, experiment.experiment_type_id) == (2, "ls", type_id)
    assert job_count(experiment) == 4


def test_unknown_numbers():
    """A kind and a state that nobody knows do not stop anything."""
    experiment = read({"name": "sweep"}, experimentTypeId=9, state=99)
    assert type(experiment) is BaseExperiment
    assert (experiment.name, experiment.state, experiment.experiment_type_id) == ("sweep", 99, 9)
    assert job_count(experiment) is None


def test_counts_of_nothing():
    """An experiment of no jobs has no logs to follow; a server that counts none does not know."""
    nobody = MultiNodeExperiment(id="es1", state=4, experiment_type_id=3, worker_count=0, parameter_server_count=0)
    assert job_count(nobody) is None


def test_secrets_are_masked():
    """Neither passwords, nor user names that belong to them, nor passwords in addresses are printed."""
    secrets = {
        "registry_username": "sesame-user",
        "registry_password": "sesame-1",
        "workspace_username": "sesame-user",
        "workspace_password": "sesame-2",
        "workspace_url": "https://me:sesame-3@example.com/r.git",
    }
    experiment = read({**ALL_SNAKE, **secrets})
    assert "sesame" not in repr(experiment)
    assert "https://me:********@example.com/r.git" in repr(experiment)
    assert experiment.registry_password == "sesame-1"


def test_fields_that_the_documentation_does_not_know_show_only_when_set():
    """The documented form stays as it is until somebody uses what came later."""
    assert "workspace_ref='v2', " in repr(read({**ALL_SNAKE, "workspace_ref": "v2"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
STORED_NAMES = sorted({name for field in SingleNodeExperiment._fields for name in field.stored_names})


@given(st.dictionaries(st.sampled_from(STORED_NAMES) | st.text(), JSON), st.sampled_from([1, 2, 3, 4, 9]))
def test_no_stored_parameters_break_reading(params, type_id):
    """Whatever was stored, an experiment comes out, its attributes are None or of their type, and it prints."""
    experiment = read(params, experimentTypeId=type_id)
    assert repr(experiment)
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
    for field in experiment._fields:
        value = getattr(experiment, field.name)
        assert value is None or isinstance(value, types[field.json_type])
