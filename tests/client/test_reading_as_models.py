"""Answers are read without the models that are generated from the contract; what comes out is what these would give."""

import json

import pytest
from gradient_api.experiment_fields import ExperimentField
from gradient_api.models import (
    Experiment,
    ExperimentAnswer,
    ExperimentList,
    ListMeta,
    TemplateHistory,
    TemplateHistoryParamsType0,
)
from gradient_api.operations import GET_EXPERIMENT, LIST_EXPERIMENTS
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient import BaseExperiment, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext._json import coerce, require
from gradient_ext.asking import AskExperiment
from gradient_ext.calls import Reply
from gradient_ext.paging import ListCursor

KINDS = [SingleNodeExperiment, MultiNodeExperiment, BaseExperiment]
FIELDS = {field.name: field for kind in KINDS for field in kind._fields}.values()
STORED = sorted({"id", "unknown"}.union(*(field.stored_names for field in FIELDS)))
MEETING = sorted(set[str]().union(*(field.stored_names for field in FIELDS if field.outer_name)))
AROUND = sorted({"id", "data", "unknown"}.union(field.outer_name for field in FIELDS if field.outer_name))
REQUIRED = sorted({field.outer_name for field in FIELDS if field.required})

ODD = st.sampled_from([None, True, False, 0, 2, 3.0, 0.5, "", "x", "2", [], [1], {}, {"a": 1}, float("nan"), 10**20])
PARAMS = st.dictionaries(st.sampled_from(STORED) | st.sampled_from(MEETING), ODD, max_size=6)
HISTORIES = st.fixed_dictionaries({}, optional={"id": ODD, "params": PARAMS | ODD}) | ODD


@st.composite
def experiments(draw):
    """Experiments of all kinds that lack something now and then, or have something odd there."""
    whole = {
        "handle": draw(st.sampled_from(["es1", "es2", "es3"])),
        "experimentTypeId": draw(st.sampled_from([1, 2, 3, 9, "2", 2.0])),
        "state": draw(st.sampled_from([1, 4, 99, "4", 4.0])),
        "projectHandle": "pr1",
        "dtCreated": "2019-08-06T17:20:11.462913+00:00",
        "templateHistory": draw(HISTORIES),
    }
    names = draw(st.sampled_from([[], AROUND, REQUIRED]))
    odd = {name: draw(ODD) for name in draw(st.sets(st.sampled_from(names), max_size=2))} if names else {}
    gone = draw(st.sampled_from([None, None, None, *whole]))
    return {name: value for name, value in {**whole, **odd}.items() if name != gone}


ANSWERS = st.fixed_dictionaries({"data": experiments()}, optional={"message": ODD}) | st.fixed_dictionaries(
    {"data": ODD}
)
METAS = ODD | st.fixed_dictionaries({}, optional={"filter": ODD, "limit": ODD, "totalItems": ODD | st.integers(0, 99)})
GROUPS = st.fixed_dictionaries(
    {"data": st.lists(experiments(), max_size=2) | st.lists(experiments() | ODD, max_size=2) | ODD},
    optional={"meta": ODD | METAS},
)
MEMBERS = st.lists(experiments() | GROUPS, max_size=4) | st.lists(experiments() | GROUPS | ODD, max_size=2)
PAGES = st.fixed_dictionaries({"data": MEMBERS | ODD}, optional={"meta": METAS, "message": ODD})
SETTINGS = settings(max_examples=300)


def by_the_model(model):
    """An experiment, read from its model, each attribute by itself."""
    history = model.template_history
    params = history.params if isinstance(history, TemplateHistory) else None
    stored = params.additional_properties if isinstance(params, TemplateHistoryParamsType0) else {}
    number = coerce("integer", model.experiment_type_id)
    kind = next((kind for kind in KINDS if number in kind._type_ids), BaseExperiment)
    return kind(**{field.name: attribute(field, stored, model.to_dict()) for field in kind._fields})


def attribute(field: ExperimentField, stored, around):
    known = (coerce(field.json_type, stored.get(name)) for name in field.stored_names)
    value = next((value for value in known if value is not None), None)
    if value is not None or field.outer_name is None:
        return value
    if field.required:
        return require(field.json_type, around[field.outer_name], field.outer_name, min_length=field.min_length)
    return coerce(field.json_type, around.get(field.outer_name))


def page_by_the_models(answer):
    """What is in a page, each experiment once, and whether it is the last one."""
    page = ExperimentList.from_dict(answer)
    found = {}
    for model in page.data:
        if not isinstance(model, Experiment) and "handle" in model:
            raise ValueError("what has a handle is no group")
        for each in [model] if isinstance(model, Experiment) else model.data:
            found.setdefault(require("string", each.handle, "handle", min_length=1), each)
    total = coerce("integer", page.meta.total_items) if isinstance(page.meta, ListMeta) else None
    cursor = ListCursor()
    return [by_the_model(model) for model in found.values()], not found or (
        total is not None and total <= cursor.page_size
    )


def page_by_the_client(answer):
    cursor = ListCursor()
    meaning = cursor.call().meaning
    return meaning(LIST_EXPERIMENTS.read(reply(answer))), cursor.finished


def reply(answer):
    return Reply(status_code=200, headers={}, content=json.dumps(answer).encode())


def outcome(read):
    """What comes of reading, in a form that tells 1 from 1.0 and true; what is malformed is one outcome."""
    try:
        found, *more = read()
    except (KeyError, ValueError, TypeError):
        return "malformed"
    return [(type(one), json.dumps(one.to_dict(secrets=True))) for one in found], more


@SETTINGS
@given(ANSWERS | ODD)
def test_an_experiment(answer):
    """Whatever JSON is in it, is missing, or is there instead of it."""
    expected = outcome(lambda: [[by_the_model(ExperimentAnswer.from_dict(answer).data)]])
    assert outcome(lambda: [[AskExperiment().value(GET_EXPERIMENT.read(reply(answer)))]]) == expected


@SETTINGS
@given(PAGES | ODD)
def test_a_page(answer):
    """Flat or grouped, with all that is around the experiments."""
    assert outcome(lambda: page_by_the_client(answer)) == outcome(lambda: page_by_the_models(answer))


@pytest.mark.parametrize("operation", [LIST_EXPERIMENTS, GET_EXPERIMENT])
def test_what_is_no_object(operation):
    """Is told by its type."""
    with pytest.raises(TypeError, match="an object was expected, not list"):
        operation.read(reply([]))
