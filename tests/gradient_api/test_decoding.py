"""The generated decoders take what is in the contract, null for what can be absent, and nothing of another shape."""

import json

import pytest
from gradient_api.models import (
    Created,
    Done,
    Experiment,
    ExperimentGroup,
    ExperimentList,
    ExperimentState,
    GroupMeta,
    ListMeta,
    LogRow,
    TemplateHistory,
)
from gradient_api.types import UNSET
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
EXPERIMENT = {"handle": "es1", "experimentTypeId": 1, "state": 4}


def test_null_where_something_can_be_absent():
    """Is as good as absent, for texts, numbers, objects and arrays."""
    assert Created.from_dict({"handle": "es1", "message": None}) == Created("es1")
    assert GroupMeta.from_dict({"itemGroup": None, "totalItems": None}) == GroupMeta()
    assert ListMeta.from_dict({"filter": None}).filter_ is UNSET


def test_null_that_the_contract_knows():
    """Stays null."""
    assert ListMeta.from_dict({"limit": None}).limit is None


@pytest.mark.parametrize("wrong", [[], [["message", "success"]], "", None, 7])
def test_no_object(wrong):
    """Neither pairs nor what is empty pass for an object."""
    with pytest.raises(TypeError, match="an object was expected, not "):
        Done.from_dict(wrong)


@pytest.mark.parametrize("kind", [ExperimentList, ExperimentGroup])
@pytest.mark.parametrize("wrong", [{}, "", None, 7])
def test_no_array(kind, wrong):
    """Nor does what can be gone through pass for an array."""
    with pytest.raises(TypeError, match="an array was expected, not "):
        kind.from_dict({"data": wrong})


@pytest.mark.parametrize("state", [99, 4.0, "4", True, None, [4], {"state": 4}])
def test_numbers_that_an_enumeration_does_not_know(state):
    """Stay what they are; true is no number, and what is in no enumeration is not compared with its members."""
    assert Experiment.from_dict({**EXPERIMENT, "state": state}).state is state


def test_numbers_that_an_enumeration_knows():
    """Become its members."""
    assert Experiment.from_dict(EXPERIMENT).state is ExperimentState.RUNNING


MEMBERS = {
    Experiment: (EXPERIMENT, ["projectHandle", "projectId", "dtCreated", "templateHistory", *EXPERIMENT]),
    ExperimentList: ({"data": [EXPERIMENT, {"data": [EXPERIMENT]}]}, ["meta", "limit"]),
    LogRow: ({"line": 1, "message": "", "timestamp": ""}, ["jobId", "line", "message", "timestamp"]),
    TemplateHistory: ({}, ["params", "id", "triggerEventId"]),
}


@pytest.mark.parametrize("kind", MEMBERS)
@given(data=st.data())
def test_nothing_is_lost_or_changed(kind, data):
    """Whatever JSON is in the members, known or not, it is there again when the model becomes JSON."""
    whole, names = MEMBERS[kind]
    answer = {**whole, **data.draw(st.dictionaries(st.sampled_from(names) | st.text(min_size=10), JSON))}
    before = json.dumps(answer, sort_keys=True)
    assert json.dumps(kind.from_dict(answer).to_dict(), sort_keys=True) == before
    assert json.dumps(answer, sort_keys=True) == before
