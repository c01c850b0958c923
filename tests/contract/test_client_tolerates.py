"""The client against a world that grows: what the contract leaves open makes no difference, whatever is there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.answers import answers, as_json, check_well_formed, schema_of
from judging.contract import OPERATIONS, SCHEMAS
from judging.methods import ANSWERED
from judging.mutations import ODD, as_floats, optional_places, replaced, with_extras, without

from gradient import BaseExperiment, constants

WHAT = "answers that grew"
CASES = [(method, operation) for method, operation in ANSWERED if schema_of(operation, OPERATIONS[operation].success)]


@pytest.fixture
def understood(answered):
    """Say what a method makes of an answer to an operation, which must be something well-formed."""

    def understood(method, operation, body):
        result = answered(WHAT, method, operation, as_json(body))
        check_well_formed(result)
        return result

    return understood


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_members_that_nobody_knows(understood, share, method, operation):
    """More members in every object of an answer make no difference."""

    @share(10)
    @given(answers(operation, 200), st.sampled_from(ODD))
    def check(answer, extra):
        body = json.loads(answer[2])
        assert understood(method, operation, with_extras(body, extra)) == understood(method, operation, body)

    check()


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_members_that_may_be_missing(understood, share, method, operation):
    """Any of the optional members can be left out, or be null, which is the same."""
    schema = schema_of(operation, 200)

    @share(10)
    @given(answers(operation, 200), st.data())
    def check(answer, data):
        body = json.loads(answer[2])
        optional = list(optional_places(body, schema))
        some = data.draw(st.sets(st.sampled_from(optional))) if optional else ()
        for chosen in (some, optional):
            left_out = understood(method, operation, without(body, chosen))
            assert understood(method, operation, replaced(body, chosen, None)) == left_out

    check()


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_integers_with_a_point(understood, share, method, operation):
    """JSON knows no integers: 4.0 is the 4 that the contract speaks of."""

    @share(20)
    @given(answers(operation, 200))
    def check(answer):
        body = json.loads(answer[2])
        assert understood(method, operation, as_floats(body)) == understood(method, operation, body)

    check()


@pytest.mark.parametrize("number", [0, -1, 14, 99, 2**31, 10**20])
@pytest.mark.parametrize("method", ["get", "list", "state"])
def test_numbers_that_nobody_knows(understood, method, number):
    """A state and a type that this client has no name for are shown as they are."""
    assert number not in {*SCHEMAS["ExperimentState"]["enum"], *SCHEMAS["ExperimentType"]["enum"]}
    told = {"handle": "es1", "experimentTypeId": number, "state": number}
    if method == "state":
        assert understood(method, "getExperimentState", {"data": told}) == number
        return
    experiment = (
        understood(method, "getExperiment", {"data": told})
        if method == "get"
        else understood(method, "listExperiments", {"data": [told]})[0]
    )
    assert type(experiment) is BaseExperiment
    assert (experiment.state, experiment.experiment_type_id) == (number, number)
    assert constants.ExperimentState.get_state_str(experiment.state) == "undefined"
    assert constants.ExperimentType.get_type_str(experiment.experiment_type_id) == "undefined"
