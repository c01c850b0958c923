"""The client against the contract, sending: what a caller gives is in the contract when it goes over the socket.

openapi-core validates it, which shares nothing with the server; `judging.requests` says why. Base64 is no matter of
JSON Schema: commands are decoded here and compared with what was given. What the contract does not allow is named, and
nothing is sent.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.answers import as_json
from judging.contract import END_OF_LOG, OPERATIONS, members, python_name
from judging.keywords import ACCEPTED, MISSING, NAMES, arrived, everything, given_keywords, mistakes, wrong_values
from judging.methods import (
    ADDED_BY_THE_CLIENT,
    ARGUMENTS,
    CREATES,
    LISTS,
    NAMES_ONE,
    READS_LOGS,
    READS_METRICS,
    WAITS,
    call,
)
from judging.wire import API_KEY

from gradient import InvalidParametersError, MalformedResponseError
from gradient.constants import ExperimentState

HANDLES = st.from_regex(r"[A-Za-z0-9._~-]+", fullmatch=True).filter(lambda handle: handle.strip("."))
PROJECTS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1)
COUNTS = st.integers(0, 10**9)
LIMITS = st.integers(1, 10**6)


@pytest.fixture
def sent(wire):
    """Everything sent since the last call, judged: a complaint about any of it fails the test."""

    def judged():
        judgements = wire.sent()
        for judgement in judgements:
            assert judgement.complaints == ()
            assert judgement.key == API_KEY
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


@pytest.mark.parametrize("method", READS_METRICS)
def test_metrics_are_asked_for_by_name(wire, sent, share, method):
    """With the names that were given; a stream begins at the beginning."""

    @share(4)
    @given(HANDLES, st.lists(PROJECTS, min_size=1, max_size=4), LIMITS)
    def check(handle, names, limit):
        wire.answers["getMetrics"] = as_json({"data": [], "cursor": "js1:1:0:0", "complete": True})
        if method == "metrics":
            wire.client.metrics(handle, names, limit=limit)
        else:
            list(wire.client.stream_metrics(handle, names))
        (judgement,) = sent()
        more = {"limit": limit} if method == "metrics" else {"after": "0"}
        assert given_by_caller(judgement) == {"handle": handle, "name": names, **more}

    check()


def test_lists_are_filtered_and_cut(wire, sent, share):
    """Projects are numbered in the order given, each once; an offset is sent as it is, a limit is not exceeded."""

    @share(1)
    @given(st.none() | PROJECTS | st.lists(PROJECTS, min_size=1, max_size=4), st.none() | LIMITS, COUNTS)
    def check(projects, limit, offset):
        wire.client.list(projects, limit=limit, offset=offset)
        judgements = sent()
        # The page of the example is another one than what was asked for, so that the next one may be, too.
        assert {judgement.operation.id for judgement in judgements} == {*LISTS["list"]}
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
    judgements = []
    wire.answers["getExperimentState"] = as_json({"data": {"state": ExperimentState.RUNNING}})

    def has_ended(state):
        wire.answers["getExperimentState"] = as_json({"data": {"state": ExperimentState.STOPPED}})

    # It is held open only while there is something to wait for.
    wire.client.wait("es1", on_state=has_ended)
    judgements += sent()
    # A page that is full has another one after it.
    page = json.loads(OPERATIONS["listArtifacts"].example(200)[2])
    wire.answers["listArtifacts"] = as_json({"data": page["data"] * 5000})
    with pytest.raises(MalformedResponseError, match="ends with the same one"):
        wire.client.artifacts("es1")
    judgements += sent()
    del wire.answers["listArtifacts"]
    for method in ARGUMENTS:
        call(wire.client, wire.projects, method)
        judgements += sent()
    assert {judgement.operation.id for judgement in judgements} == set(OPERATIONS)
    declared = {(operation.id, one["name"]) for operation in OPERATIONS.values() for one in operation.parameters}
    used = {(judgement.operation.id, name) for judgement in judgements for name in judgement.parameters}
    assert used == declared
    bodies = [set(judgement.body) for judgement in judgements if isinstance(judgement.body, dict)]
    for request in (*(request for _, request in CREATES.values()), "NewProject"):
        assert set(members(request)) in bodies


@pytest.mark.parametrize("request_name", ACCEPTED)
def test_keywords_have_the_names_of_the_contract(request_name):
    """Snake case of the wire name, or the Python name that the contract gives."""
    named = {wire: python_name(wire, schema) for wire, schema in members(request_name).items() if "const" not in schema}
    assert NAMES[request_name] == named


ONE_PROJECT = {"type": "string", "minLength": 1}
ARGUMENT_NAMES = {"handle": "experiment_id", "experimentId": "experiment_id", "projectHandle": "project_id"}
ARGUMENT_NAMES |= {"tag": "tags", "name": "names"}


@pytest.fixture
def refused(wire):
    """Call a method with keywords, some of which are wrong, and see that exactly these are named."""

    def call(method, keywords, wrong):
        given_ones = {name: value for name, value in {**keywords, **wrong}.items() if value is not MISSING}
        with pytest.raises(InvalidParametersError) as caught:
            getattr(wire.client, method)(**given_ones)
        assert {problem.partition(":")[0] for problem in caught.value.problems} == set(wrong)
        assert wire.server.requests == []

    return call


@pytest.mark.parametrize("method", CREATES)
def test_each_mistake_is_named(refused, method):
    """Each keyword with each value that it cannot have, and each required one missing, while all else is right."""
    _, request = CREATES[method]
    right = everything(request).keywords
    tried = set()
    for name, wrong in mistakes(request):
        refused(method, right, {name: wrong})
        tried.add(name)
    assert tried == set(right)


@pytest.mark.parametrize("method", CREATES)
def test_all_mistakes_are_named_at_once(refused, share, method):
    """Any of them together, with any values in the other keywords."""
    _, request = CREATES[method]
    right, every_mistake = everything(request).keywords, list(mistakes(request))

    @share(4)
    @given(given_keywords(request), st.lists(st.sampled_from(every_mistake), min_size=1))
    def check(parameters, wrong):
        refused(method, {**right, **parameters.keywords}, dict(wrong))

    check()
    refused(method, right, dict(every_mistake))


@pytest.mark.parametrize("method", CREATES)
def test_what_depends_on_what_is_missing_is_named(refused, method):
    """A keyword that the contract asks for where another is given."""
    _, request = CREATES[method]
    right = everything(request).keywords
    refused(method, right, {"model_type": MISSING})


@pytest.mark.parametrize("method", CREATES)
def test_unknown_keywords_are_named(wire, method):
    """Wire names are unknown too, where they are not the Python names."""
    _, request = CREATES[method]
    right = everything(request).keywords
    for unknown in {*members(request), "machine_typ"} - set(right):
        with pytest.raises(TypeError, match=f"'{unknown}'"):
            getattr(wire.client, method)(**right, **{unknown: "text"})
    assert wire.server.requests == []


@pytest.mark.parametrize("method", [*NAMES_ONE, *READS_LOGS, *LISTS, *WAITS, "metrics"])
def test_other_arguments(refused, method):
    """What the contract does not allow for a parameter is refused before the call."""
    operation = OPERATIONS[(NAMES_ONE | READS_LOGS | LISTS | WAITS | READS_METRICS)[method][-1]]
    right = {} if method in LISTS else {"experiment_id": "es1"}
    for parameter in operation.parameters:
        if parameter["name"] in ADDED_BY_THE_CLIENT:
            continue
        name = ARGUMENT_NAMES.get(parameter["name"], parameter["name"])
        if name == "after":
            continue  # Streams begin at the beginning.
        if method == "iter_experiments":
            if name == "offset":
                continue  # It goes through everything.
            name = {"limit": "page_size"}.get(name, name)
        many = parameter["schema"]["type"] == "object"
        schema = {"anyOf": [ONE_PROJECT, {"type": "array", "items": ONE_PROJECT}]} if many else parameter["schema"]
        if name in ("tags", "names"):  # One may be given as it is.
            schema = {"anyOf": [schema["items"], schema]}
        for wrong in wrong_values(schema):
            refused(method, right, {name: wrong})
