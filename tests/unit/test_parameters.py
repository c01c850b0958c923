"""Keyword arguments become the body of a request, or one error that names everything that is wrong."""

import base64
import copy
import inspect
import json

import pytest
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS
from hypothesis import given
from hypothesis import strategies as st

from gradient import ExperimentsClient, ExperimentState, ExperimentType, InvalidParametersError
from gradient_ext.parameters import checked_states, request_body

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
VALUES = {
    "string": TEXT,
    "integer": st.integers(1, 1000),
    "boolean": st.booleans(),
    "object": st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT),
    "array": st.lists(st.text("ab ,é", min_size=1), max_size=5),
}


def valid_values(accepted):
    """Dictionaries of keywords that the contract allows: all required ones and any of the others."""
    required, optional = {}, {}
    for parameter in filter(lambda parameter: parameter.is_sent, accepted.parameters):
        values = st.sampled_from(parameter.choices) if parameter.choices else VALUES[parameter.json_type]
        (required if parameter.required else optional)[parameter.name] = values
    # model_path depends on model_type; both or neither is always allowed.
    optional.pop("model_path")
    return st.fixed_dictionaries(required, optional=optional)


@given(valid_values(SINGLE_NODE_PARAMETERS))
def test_every_value_is_sent_under_its_wire_name_commands_as_base64(given_values):
    body = json.loads(json.dumps(request_body(SINGLE_NODE_PARAMETERS, given_values, "test()")))
    for parameter in SINGLE_NODE_PARAMETERS.parameters:
        if parameter.name in given_values:
            sent = body.pop(parameter.wire_name)
            assert (base64.b64decode(sent).decode() if parameter.base64 else sent) == given_values[parameter.name]
    assert body == {"experimentTypeId": 1}


@given(valid_values(MULTI_NODE_PARAMETERS))
def test_the_dictionary_of_the_caller_is_neither_changed_nor_shared(given_values):
    before = copy.deepcopy(given_values)
    body = request_body(MULTI_NODE_PARAMETERS, given_values, "test()")
    body.get("experimentEnv", {})["ADDED"] = 1
    assert given_values == before


@given(valid_values(MULTI_NODE_PARAMETERS), st.data())
def test_one_error_names_everything_that_is_missing_or_of_the_wrong_type(given_values, data):
    required = [parameter.name for parameter in MULTI_NODE_PARAMETERS.parameters if parameter.required]
    missing = data.draw(st.sets(st.sampled_from(required), min_size=1))
    wrong = data.draw(
        st.sets(st.sampled_from(sorted(set(given_values) - missing))) if set(given_values) - missing else st.just(set())
    )
    for name in missing:
        del given_values[name]
    for name in wrong:
        given_values[name] = object()
    with pytest.raises(InvalidParametersError) as caught:
        request_body(MULTI_NODE_PARAMETERS, given_values, "test()")
    assert {problem.partition(":")[0] for problem in caught.value.problems} == missing | wrong


def test_commands_are_base64_of_utf8(single_node):
    assert (
        request_body(SINGLE_NODE_PARAMETERS, {**single_node, "command": "python é.py"}, "")["command"]
        == "cHl0aG9uIMOpLnB5"
    )


@pytest.mark.parametrize(
    ("given_type", "sent"), [(2, 2), (3, 3), ("GRPC", 2), ("MPI", 3), ("mpi", 3), (ExperimentType.MPI_MULTI_NODE, 3)]
)
def test_a_multi_node_type_is_a_number_a_word_or_a_constant(multi_node, given_type, sent):
    body = request_body(MULTI_NODE_PARAMETERS, {**multi_node, "experiment_type_id": given_type}, "")
    assert body["experimentTypeId"] == sent


@pytest.mark.parametrize("wrong", [1, 4, "TCP", True, 2.0, [2]])
def test_a_wrong_multi_node_type_is_an_error_that_names_the_right_ones(multi_node, wrong):
    with pytest.raises(InvalidParametersError, match="experiment_type_id: must be one of 2, 3, 'GRPC', 'MPI', not"):
        request_body(MULTI_NODE_PARAMETERS, {**multi_node, "experiment_type_id": wrong}, "")


def test_ports_may_be_a_number(single_node):
    """The first clients sent it as text, too."""
    assert request_body(SINGLE_NODE_PARAMETERS, {**single_node, "ports": 5000}, "")["ports"] == "5000"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("name", 5, "must be a str, not int"),
        ("container", "", "is empty"),
        ("is_preemptible", 1, "must be a bool, not int"),
        ("ports", True, "must be a str, not bool"),
        ("command", "\udc80", "lone surrogate"),
        ("experiment_env", [("A", 1)], "must be a dict, not list"),
        ("experiment_env", {1: "one"}, "its names must be str, not 1"),
        ("experiment_env", {"A": [1]}, "the value of 'A' must be one of"),
        ("experiment_env", {"A": float("nan")}, "not nan"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what_would_be_right(single_node, name, value, problem):
    with pytest.raises(InvalidParametersError, match=f"{name}: .*{problem}"):
        request_body(SINGLE_NODE_PARAMETERS, {**single_node, name: value}, "")


@pytest.mark.parametrize(
    ("count", "problem"), [(0, "must be at least 1, not 0"), (1001, "must be at most 1000, not 1001")]
)
def test_counts_have_limits(multi_node, count, problem):
    """A typing error must not request a million machines."""
    with pytest.raises(InvalidParametersError, match=f"worker_count: {problem}"):
        request_body(MULTI_NODE_PARAMETERS, {**multi_node, "worker_count": count}, "")


def test_a_model_path_needs_a_model_type(single_node):
    del single_node["model_type"]
    with pytest.raises(InvalidParametersError, match="model_type: missing; model_path cannot be given without it"):
        request_body(SINGLE_NODE_PARAMETERS, single_node, "")


def test_none_counts_as_not_given(single_node):
    assert "ports" not in request_body(SINGLE_NODE_PARAMETERS, {**single_node, "ports": None}, "")
    with pytest.raises(InvalidParametersError, match="name: missing"):
        request_body(SINGLE_NODE_PARAMETERS, {**single_node, "name": None}, "")


def test_an_unknown_keyword_is_a_type_error_with_the_closest_known_one(single_node):
    with pytest.raises(TypeError, match=r"create_single_node\(\) got .* 'machine_typ'; did you mean 'machine_type'\?"):
        ExperimentsClient("a-key").create_single_node(**single_node, machine_typ="K80")
    with pytest.raises(TypeError, match=r"'qqq'; did you mean '\w+'\?"):
        ExperimentsClient("a-key").create_single_node(qqq=1)


@pytest.mark.parametrize("accepted", [SINGLE_NODE_PARAMETERS, MULTI_NODE_PARAMETERS])
def test_a_password_or_user_name_of_the_wrong_type_is_named_but_not_shown(accepted):
    names = [parameter.name for parameter in accepted.parameters]
    secrets = [name for name in names if name.endswith(("username", "password"))]
    assert len(secrets) == (4 if accepted is SINGLE_NODE_PARAMETERS else 6)
    with pytest.raises(InvalidParametersError) as caught:
        request_body(accepted, {name: ["hunter2"] for name in secrets}, "")
    assert all(f"{name}: must be" in str(caught.value) for name in secrets)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("method", ["create_single_node", "run_single_node", "create_multi_node", "run_multi_node"])
def test_signatures_have_a_keyword_for_each_documented_parameter(method):
    function = getattr(ExperimentsClient, method)
    _, *parameters = inspect.signature(function).parameters.values()
    documented = [line.split() for line in function.__doc__.splitlines() if line.startswith(":param ")]
    assert [name.rstrip(":") for _, _, name, *_ in documented] == [parameter.name for parameter in parameters]
    for line, parameter in zip(documented, parameters, strict=True):
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert (line[-1] == "[required]") == (parameter.default is inspect.Parameter.empty)


class Word(str):
    """A text that is more than a str."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("until", "states"),
    [
        (ExperimentState.RUNNING, {4}),
        ("running", {4}),
        (Word("running"), {4}),
        (["running"], {4}),
        ({4, "stopped"}, {4, 5}),
        (iter(("failed", 4)), {4, 7}),
        (None, None),
    ],
)
def test_states_are_numbers_or_words_one_or_several(until, states):
    assert checked_states("until", until, "wait()") == states


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        ([], "must be a state or several"),
        ("runing", "not 'runing'"),
        ([4, "gone"], "not 'gone'"),
        (True, "not True"),
        ([1.5], "not 1.5"),
        (b"running", "not b'running'"),
        ({}, "must be a state or several"),
        (object, "must be a state or several"),
    ],
)
def test_anything_else_than_states_is_an_error_that_names_the_words(until, problem):
    with pytest.raises(InvalidParametersError, match=problem) as caught:
        checked_states("until", until, "wait()")
    assert "network tearing down" in str(caught.value)
