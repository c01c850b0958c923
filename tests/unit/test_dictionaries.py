"""Experiments, log rows and lists of them as dictionaries, which the json module of Python takes as they are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient import ExperimentList, LogRow, LogRows, SingleNodeExperiment
from tests.unit.examples import EXPERIMENTS, KINDS, LOG_ROWS, with_secrets


@given(EXPERIMENTS)
def test_all_that_an_experiment_has(experiment):
    """Every attribute is there, by its name and in order, and makes the same experiment again, by way of JSON too."""
    told = experiment.to_dict(secrets=True)
    assert list(told) == [field.name for field in experiment._fields]
    assert type(experiment)(**told) == experiment
    assert json.loads(json.dumps(told)) == told


@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3))
def test_lists(experiments, rows):
    """They are lists of what their members are, and JSON as well."""
    told = ExperimentList(experiments).to_dict()
    assert told == [experiment.to_dict() for experiment in experiments]
    assert json.loads(json.dumps(told)) == told
    told_rows = LogRows(rows).to_dict()
    assert [LogRow(**row) for row in json.loads(json.dumps(told_rows))] == rows


@pytest.mark.parametrize("kind", KINDS)
def test_secrets(kind):
    """They are in it only on request, and masked otherwise, down in the environment variables too."""
    experiment = with_secrets(kind)
    masked = experiment.to_dict()
    assert "sesame" not in json.dumps(masked)
    assert masked["workspace_password"] == "********"
    assert masked["workspace_url"] == "https://me:********@example.com/r.git"
    assert ExperimentList([experiment]).to_dict() == [masked]
    whole = experiment.to_dict(secrets=True)
    assert {field.name for field in kind._fields if field.secret} <= {name for name in whole if whole[name] == "sesame"}
    assert ExperimentList([experiment]).to_dict(secrets=True) == [whole]


def test_a_secret_that_is_not_there_is_none():
    """The mask says that there is one."""
    experiment = SingleNodeExperiment(id="es1", state=1, experiment_type_id=1)
    assert experiment.to_dict()["registry_password"] is None


@pytest.mark.parametrize("secrets", [False, True])
def test_it_shares_nothing(secrets):
    """Who changes the dictionary does not change the experiment."""
    experiment = SingleNodeExperiment(id="es1", state=1, experiment_type_id=1, experiment_env={"A": [1]})
    experiment.to_dict(secrets=secrets)["experiment_env"]["A"].append(2)
    assert experiment.experiment_env == {"A": [1]}
