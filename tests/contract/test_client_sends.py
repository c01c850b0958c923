"""The client against the contract, sending: whatever a caller gives, what goes over the socket is in the contract.

The judge is openapi-core, which shares nothing with the server; `judging.requests` says why it. Base64 is no matter of
JSON Schema: commands are decoded here and compared with what was given, as is everything else.
"""

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.answers import as_json
from judging.contract import END_OF_LOG, OPERATIONS, members, python_name
from judging.keywords import ACCEPTED, NAMES, arrived, given_keywords
from judging.methods import (
    ADDED_BY_THE_CLIENT,
    ARGUMENTS,
    CHANGES_NOTHING_THERE,
    CREATES,
    LISTS,
    NAMES_ONE,
    READS_LOGS,
    call,
)
from judging.wire import API_KEY

from gradient import ExperimentsClient
from gradient.constants import ExperimentState

SUITE = "client, sending"
HANDLES = st.from_regex(r"[A-Za-z0-9._~-]+", fullmatch=True).filter(lambda handle: handle.strip("."))
PROJECTS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1)
COUNTS = st.integers(0, 10**9)
LIMITS = st.integers(1, 10**6)


@pytest.fixture
def sent(wire, tally):
    """Everything sent since the last call, judged: a complaint about any of it fails the test."""

    def judged():
        judgements = wire.sent()
        for judgement in judgements:
            assert judgement.complaints == ()
            assert judgement.key == API_KEY
            tally.count(SUITE, "requests")
            tally.see(SUITE, "operations", judgement.operation.id)
            for name in judgement.parameters:
                tally.see(SUITE, "parameters", (judgement.operation.id, name))
            for member in judgement.body or ():
                tally.see(SUITE, "body members", member)
        return judgements

    return judged


def given_by_caller(judgement):
    """The parameters of a request but for those that the client adds by itself."""
    return {name: value for name, value in judgement.parameters.items() if name not in ADDED_BY_THE_CLIENT}


def same(one, other):
    """Compare as JSON, where true is not 1 and 1 is not 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("method", CREATES)
def test_keywords_arrive_as_they_were_given(wire, sent, share, method):
    """Any keywords that the contract allows become one request, from which the same can be read again."""
    operation, request = CREATES[method]

    @share(3)
    @given(given_keywords(request))
    def check(parameters):
        assert getattr(wire.client, method)(**parameters.keywords)
        (judgement,) = sent()
        assert judgement.operation.id == operation
        assert same(arrived(judgement.body, request), parameters.plain)

    check()


@pytest.mark.parametrize("method", NAMES_ONE)
def test_an_experiment_is_named_in_the_path(wire, sent, share, method):
    """And nothing else is sent: no body, no query."""

    @share(4)
    @given(HANDLES)
    def check(handle):
        getattr(wire.client, method)(handle)
        judgements = sent()
        assert [judgement.operation.id for judgement in judgements] == NAMES_ONE[method]
        assert [given_by_caller(judgement) for judgement in judgements] == [{"handle": handle}]

    check()


@pytest.mark.parametrize("method", READS_LOGS)
def test_logs_are_asked_of_their_own_host(wire, sent, share, method):
    """With the experiment, the line and the limit that were given; following reads the experiment first."""

    @share(4)
    @given(HANDLES, COUNTS, LIMITS)
    def check(handle, line, limit):
        last = {"line": line + 1, "message": END_OF_LOG, "timestamp": "2019-07-08T12:40:59.28Z", "jobId": "js1"}
        wire.answers["getLogs"] = as_json([last])
        list(getattr(wire.client, method)(handle, line=line, limit=limit))
        judgements = sent()
        assert [judgement.operation.id for judgement in judgements] == READS_LOGS[method]
        assert given_by_caller(judgements[-1]) == {"experimentId": handle, "line": line, "limit": limit}

    check()


def test_lists_are_filtered_and_cut(wire, sent, share):
    """Projects are numbered in the order given, each once; an offset is sent as it is, a limit is not exceeded."""

    @share(1)
    @given(st.none() | PROJECTS | st.lists(PROJECTS, min_size=1, max_size=4), st.none() | LIMITS, COUNTS)
    def check(projects, limit, offset):
        wire.client.list(projects, limit=limit, offset=offset)
        judgements = sent()
        assert [judgement.operation.id for judgement in judgements] == LISTS["list"]
        asked = dict(judgements[0].parameters)
        named = [projects] if isinstance(projects, str) else dict.fromkeys(projects or ())
        assert asked.pop("projectHandle", {}) == {str(number): project for number, project in enumerate(named)}
        assert asked.pop("offset") == offset
        assert 1 <= asked.pop("limit") <= (limit or 10**6)
        assert asked == {}

    check()


def test_nothing_of_the_contract_is_left_out(wire, sent):
    """Every method of the client is called; every operation, body member and parameter is sent.

    This is the floor of this suite: it does not depend on what is generated.
    """
    public = {name for name, _ in inspect.getmembers(ExperimentsClient, callable) if not name.startswith("_")}
    assert set(ARGUMENTS) == public - CHANGES_NOTHING_THERE

    judgements = []
    wire.answers["getExperimentState"] = as_json({"data": {"state": ExperimentState.RUNNING}})

    def has_ended(state):
        wire.answers["getExperimentState"] = as_json({"data": {"state": ExperimentState.STOPPED}})

    # It is held open only while there is something to wait for.
    wire.client.wait("es1", on_state=has_ended)
    judgements += sent()
    for method in ARGUMENTS:
        call(wire.client, method)
        judgements += sent()
    assert {judgement.operation.id for judgement in judgements} == set(OPERATIONS)
    declared = {(operation.id, one["name"]) for operation in OPERATIONS.values() for one in operation.parameters}
    used = {(judgement.operation.id, name) for judgement in judgements for name in judgement.parameters}
    assert used == declared
    bodies = [set(judgement.body) for judgement in judgements if judgement.body]
    assert bodies == [set(members(request)) for _, request in CREATES.values()]


@pytest.mark.parametrize("request_name", ACCEPTED)
def test_keywords_have_the_names_of_the_contract(request_name):
    """Snake case of the wire name, or the Python name that the contract gives."""
    named = {wire: python_name(wire, schema) for wire, schema in members(request_name).items() if "const" not in schema}
    assert NAMES[request_name] == named
