"""Experiments are read from all generations of stored parameters, and show as documented."""

import copy
import json

import pytest
from gradient_api.experiment_fields import ExperimentField
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient import BaseExperiment, ExperimentList, LogRow, LogRows, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext._json import EXACT_TYPES, coerce, require
from gradient_ext.experiments import _Reader, experiment_from, job_count
from tests.unit.examples import EXPERIMENTS, KINDS, LOG_ROWS, one, with_secrets

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
def test_native_experiments_of_both_generations_show_to_the_letter_as_documented(params):
    assert repr(read(params)) == DOCUMENTED


def test_a_legacy_job_keeps_its_project_and_container_and_its_numbers_become_texts():
    experiment = read(LEGACY_JOB, projectHandle=None)
    assert isinstance(experiment, SingleNodeExperiment)
    assert experiment.project_id == "prlvf0u05"
    assert experiment.container == "tensorflow/tensorflow:1.13.1-gpu-py3"
    assert (experiment.machine_type, experiment.ports, experiment.cluster_id) == ("K80", "5000", "342")


def test_the_project_of_the_experiment_counts_where_its_parameters_have_none():
    assert read({"command": "ls", "container": "busybox", "workspaceFileName": "none"}).project_id == "prlvf0u05"


@pytest.mark.parametrize("history", [None, {}, {"params": None}, {"params": {}}])
def test_without_stored_parameters_their_attributes_are_none(history):
    experiment = experiment_from({**OUTER, "templateHistory": history})
    assert (experiment.id, experiment.state, experiment.project_id) == ("esxfbgzu7xanst", 1, "prlvf0u05")
    assert (experiment.name, experiment.command, experiment.experiment_env) == (None, None, None)
    assert experiment_from(OUTER).name is None


def test_stored_parameters_do_not_replace_id_state_and_type():
    """The first clients let them."""
    experiment = read({**ALL_SNAKE, "state": 5, "id": "other", "experiment_type_id": 2, "experimentTypeId": 2})
    assert (experiment.state, experiment.id, experiment.experiment_type_id) == (1, "esxfbgzu7xanst", 1)


@pytest.mark.parametrize("history", ["text", ["params"], 7, {"params": "text"}, {"params": [1]}])
def test_stored_parameters_that_are_no_object_count_as_none(history):
    assert experiment_from({**OUTER, "templateHistory": history}).name is None


@pytest.mark.parametrize("member", ["handle", "state", "experimentTypeId"])
@pytest.mark.parametrize("wrong", [None, [], {}, True, float("nan")])
def test_a_missing_or_mistyped_handle_state_or_type_is_an_error(member, wrong):
    with pytest.raises(ValueError, match=f"{member} is "):
        experiment_from({**OUTER, member: wrong})


def test_an_empty_handle_is_an_error():
    """Its URL would be that of the list."""
    with pytest.raises(ValueError, match="handle is an empty string"):
        experiment_from({**OUTER, "handle": ""})


@pytest.mark.parametrize("type_id", [2, 3])
def test_multi_node_experiments_have_counts_also_where_they_are_stored_as_text(type_id):
    stored = {"worker_count": "2", "parameter_server_count": 1, "master_count": 1, "worker_command": "ls"}
    experiment = read(stored, experimentTypeId=type_id)
    assert isinstance(experiment, MultiNodeExperiment)
    assert (experiment.worker_count, experiment.worker_command, experiment.experiment_type_id) == (2, "ls", type_id)
    assert job_count(experiment) == 4


def test_unknown_types_and_states_are_read():
    experiment = read({"name": "sweep"}, experimentTypeId=9, state=99)
    assert type(experiment) is BaseExperiment
    assert (experiment.name, experiment.state, experiment.experiment_type_id) == ("sweep", 99, 9)
    assert job_count(experiment) is None


def test_an_experiment_without_counts_has_an_unknown_number_of_jobs():
    nobody = MultiNodeExperiment(id="es1", state=4, experiment_type_id=3, worker_count=0, parameter_server_count=0)
    assert job_count(nobody) is None


def test_undocumented_attributes_show_only_where_they_are_set():
    assert "workspace_ref='v2', " in repr(read({**ALL_SNAKE, "workspace_ref": "v2"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
STORED_NAMES = sorted({name for field in SingleNodeExperiment._fields for name in field.stored_names})


@given(st.dictionaries(st.sampled_from(STORED_NAMES) | st.text(), JSON), st.sampled_from([1, 2, 3, 4, 9]))
def test_whatever_is_stored_attributes_are_none_or_of_their_type(params, type_id):
    experiment = read(params, experimentTypeId=type_id)
    assert repr(experiment)
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
    for field in experiment._fields:
        value = getattr(experiment, field.name)
        assert value is None or isinstance(value, types[field.json_type])


@given(EXPERIMENTS)
def test_a_dictionary_has_every_attribute_and_makes_the_same_experiment_again(experiment):
    content = experiment.to_dict(secrets=True)
    assert list(content) == [field.name for field in experiment._fields]
    assert type(experiment)(**content) == experiment
    assert json.loads(json.dumps(content)) == content


@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3))
def test_dictionaries_of_lists_are_lists_of_dictionaries(experiments, rows):
    content = ExperimentList(experiments).to_dict()
    assert content == [experiment.to_dict() for experiment in experiments]
    assert json.loads(json.dumps(content)) == content
    assert [LogRow(**row) for row in json.loads(json.dumps(LogRows(rows).to_dict()))] == rows


@pytest.mark.parametrize("kind", KINDS)
def test_dictionaries_and_representations_hold_secrets_only_on_request(kind):
    """Those in environment variables and in addresses included. None stays None."""
    experiment = with_secrets(kind)
    redacted, whole = experiment.to_dict(), experiment.to_dict(secrets=True)
    assert "sesame" not in repr(experiment) + json.dumps(redacted)
    assert redacted["workspace_password"] == "********"
    assert redacted["workspace_url"] == "https://me:********@example.com/r.git"
    secrets = {name for name in whole if whole[name] == "sesame"}
    assert {"workspace_username", "workspace_password"} <= secrets
    if kind is MultiNodeExperiment:
        nodes = ("worker", "parameter_server", "master")
        assert {f"{node}_registry_{name}" for node in nodes for name in ("username", "password")} <= secrets
    assert ExperimentList([experiment]).to_dict() == [redacted]
    assert ExperimentList([experiment]).to_dict(secrets=True) == [whole]
    assert one().to_dict()["registry_password"] is None


@pytest.mark.parametrize("secrets", [False, True])
def test_a_dictionary_shares_nothing_with_its_experiment(secrets):
    experiment = one(experiment_env={"A": [1]})
    experiment.to_dict(secrets=secrets)["experiment_env"]["A"].append(2)
    assert experiment.experiment_env == {"A": [1]}


COMMON = st.sampled_from([None, True, False, 0, 2, 3, 2.0, "", "x", "y", "2", {}, {"a": 1}, []])
VALUES = COMMON | st.integers() | st.floats() | st.text(max_size=3) | st.lists(COMMON, max_size=2)
WHOLE = {"handle": "es1", "experimentTypeId": 1, "state": 4}


def reference(fields, stored, answer):
    """Return the attributes, each looked up by itself."""
    return {field.name: reference_of(field, stored, answer) for field in fields}


def reference_of(field, stored, answer):
    known = (coerce(field.json_type, stored.get(name)) for name in field.stored_names)
    value = next((value for value in known if value is not None), None)
    if value is not None or field.outer_name is None:
        return value
    if field.required:
        return require(field.json_type, answer.get(field.outer_name), field.outer_name, min_length=field.min_length)
    return coerce(field.json_type, answer.get(field.outer_name))


def outcome(read):
    """Return the attributes in a form that distinguishes 1, 1.0 and true, or the text of the error."""
    try:
        found = read()
    except ValueError as error:
        return str(error)
    return {name: json.dumps(value, sort_keys=True) for name, value in found.items() if value is not None}


def members(names):
    return st.dictionaries(st.sampled_from(sorted(names)), VALUES, max_size=6)


def answers(fields):
    """Return a strategy for stored parameters and the members around them, with the names of a few fields."""
    stored = {"id", "unknown"}.union(*(field.stored_names for field in fields))
    around = {"unknown"}.union(field.outer_name for field in fields if field.outer_name)
    return st.tuples(members(stored), members(around))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_experiment_reads_as_if_each_attribute_was_looked_up_by_itself(kind, data):
    """Whatever JSON it has under whichever names, in any order, errors included."""
    fields = kind._fields
    some = data.draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3))
    stored, around = data.draw(answers(some))
    answer = {**WHOLE, **around}
    expected = outcome(lambda: reference(fields, stored, answer))
    assert outcome(lambda: _Reader(fields).read(stored, answer)) == expected


AROUND = tuple(field for field in BaseExperiment._fields if field.outer_name and not field.stored_names)
FIELDS = st.tuples(st.sampled_from(["string", "integer"]), st.sampled_from([("a",), ("b",), ("a", "b"), ("b", "a")]))


@settings(max_examples=100)
@given(kinds=st.lists(FIELDS, min_size=1, max_size=3), stored=st.dictionaries(st.sampled_from("ab"), COMMON))
def test_attributes_that_share_names_each_take_the_value_of_their_type(kinds, stored):
    own = (
        ExperimentField(name=f"field{number}", json_type=json_type, stored_names=names)
        for number, (json_type, names) in enumerate(kinds)
    )
    fields = (*AROUND, *own)
    expected = outcome(lambda: reference(fields, stored, WHOLE))
    assert outcome(lambda: _Reader(fields).read(stored, WHOLE)) == expected


@given(json_type=st.sampled_from([*EXACT_TYPES, "number"]), value=VALUES)
def test_coercion_returns_a_value_of_the_exact_type_itself(json_type, value):
    if type(value) is EXACT_TYPES.get(json_type):
        assert coerce(json_type, value) is value
