"""Attributes are looked up by what an answer has; what comes out is what looking for each of them would find."""

import json

import pytest
from gradient_api.experiment_fields import ExperimentField
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient import BaseExperiment, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext._json import EXACT_TYPES, coerce, require
from gradient_ext.experiments import _Reader

KINDS = [BaseExperiment, SingleNodeExperiment, MultiNodeExperiment]
COMMON = st.sampled_from([None, True, False, 0, 2, 3, 2.0, "", "x", "y", "2", {}, {"a": 1}, []])
VALUES = COMMON | st.integers() | st.floats() | st.text(max_size=3) | st.lists(COMMON, max_size=2)
WHOLE = {"handle": "es1", "experimentTypeId": 1, "state": 4}


def reference(fields, stored, answer):
    """What the attributes are, said for each of them alone."""
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
    """What comes of reading, in a form that tells 1 from 1.0 and true, and also compares errors."""
    try:
        found = read()
    except ValueError as error:
        return str(error)
    return {name: json.dumps(value, sort_keys=True) for name, value in found.items() if value is not None}


def members(names):
    return st.dictionaries(st.sampled_from(sorted(names)), VALUES, max_size=6)


def answers(fields):
    """Stored parameters and what is around them, with the names of a few fields, so that these meet."""
    stored = {"id", "unknown"}.union(*(field.stored_names for field in fields))
    around = {"unknown"}.union(field.outer_name for field in fields if field.outer_name)
    return st.tuples(members(stored), members(around))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_answer_reads_as_if_each_attribute_was_looked_for(kind, data):
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
def test_attributes_that_share_names(kinds, stored):
    """Each takes what is of its type, whatever the others make of it."""
    own = (
        ExperimentField(name=f"field{number}", json_type=json_type, stored_names=names)
        for number, (json_type, names) in enumerate(kinds)
    )
    fields = (*AROUND, *own)
    expected = outcome(lambda: reference(fields, stored, WHOLE))
    assert outcome(lambda: _Reader(fields).read(stored, WHOLE)) == expected


@given(json_type=st.sampled_from([*EXACT_TYPES, "number"]), value=VALUES)
def test_what_is_of_its_type_stays_the_same_object(json_type, value):
    """So that it can be taken without being looked at."""
    if type(value) is EXACT_TYPES.get(json_type):
        assert coerce(json_type, value) is value
