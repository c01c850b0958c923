"""What counts as a change of the contract, where it is seen, and in which direction it breaks old callers."""

import copy
import random

import pytest
from breaking import summary
from contract_changes import compare
from hypothesis import given
from hypothesis import strategies as st
from schema_changes import texts_changed

from tests.openapi import edits
from tests.openapi.edits import append, at, drop, each, move, put, remove

SPEC = {**edits.SPEC, "components": {**edits.SPEC["components"]}}
del SPEC["components"]["examples"]  # They say nothing about the API, and copying them takes time.

S, F, LOGS = "components schemas ", "components schemas CommonFields properties ", "paths /jobs/logs get "
MULTI, STATE = "components schemas MultiNodeRequest allOf 3 ", "components schemas ExperimentState "
EXPERIMENT = "components schemas Experiment "

BREAKING = {
    "required request field": (
        each(put(F + "tier", {"type": "string"}), append(S + "SingleNodeRequest allOf 2 required", "tier")),
        "added    tier of CommonFields",
    ),
    "request field becomes required": (
        append(MULTI + "required", "clusterId"),
        "changed  clusterId of MultiNodeRequest",
    ),
    "request field removed": (drop(F + "clusterId"), "removed  clusterId of CommonFields"),
    "request type narrowed": (put(F + "name type", "integer"), "changed  name of CommonFields"),
    "request enum narrowed": (
        each(remove(MULTI + "properties experimentTypeId enum", 3)),
        "removed  3 of experimentTypeId of MultiNodeRequest",
    ),
    "request limit narrowed": (put(F + "name minLength", 2), "changed  name of CommonFields"),
    "request limit raised": (
        put(S + "WorkerFields properties workerCount minimum", 2),
        "changed  workerCount of WorkerFields",
    ),
    "parameter limit narrowed": (put("components parameters Wait schema maximum", 30), "changed  parameter Wait"),
    "members of a request field narrowed": (
        put(F + "experimentEnv additionalProperties type", ["string"]),
        "changed  experimentEnv.* of CommonFields",
    ),
    "dependent field": (
        put(S + "CommonFields dependentRequired", {"modelPath": ["modelType", "name"]}),
        "changed  CommonFields",
    ),
    "other encoding": (
        drop(S + "WorkerFields properties workerCommand contentEncoding"),
        "changed  workerCommand of WorkerFields",
    ),
    "kind of request removed": (
        lambda spec: at(spec, S + "NewExperiment anyOf").pop(),
        "removed  MpiMultiNodeRequest of NewExperiment",
    ),
    "response field removed": (drop(EXPERIMENT + "properties dtCreated"), "removed  dtCreated of Experiment"),
    "response field no longer required": (remove(EXPERIMENT + "required", "state"), "changed  state of Experiment"),
    "response field may be null": (
        put(S + "LogRow properties line type", ["integer", "null"]),
        "changed  line of LogRow",
    ),
    "response object may be null": (
        put(
            S + "ExperimentAnswer properties data",
            {"anyOf": [{"$ref": "#/components/schemas/Experiment"}, {"type": "null"}]},
        ),
        "added    null of data of ExperimentAnswer",
    ),
    "schema renamed": (
        each(
            move(S + "ExperimentAnswer", "OneExperiment"),
            put(
                "paths /experiments/{handle}/ get responses 200 content application/json schema $ref",
                "#/components/schemas/OneExperiment",
            ),
        ),
        "renamed  ExperimentAnswer",
    ),
    "operation removed": (drop("paths /jobs/logs"), "removed  GET /jobs/logs"),
    "operation moved": (move("paths /jobs/logs", "/logs"), "renamed  GET /jobs/logs"),
    "operation id changed": (put(LOGS + "operationId", "readLogs"), "changed  readLogs"),
    "required parameter": (
        append(LOGS + "parameters", {"name": "job", "in": "query", "required": True, "schema": {"type": "string"}}),
        "added    job of getLogs",
    ),
    "parameter becomes required": (put("components parameters Line required", True), "changed  parameter Line"),
    "parameter removed": (lambda spec: at(spec, LOGS + "parameters").pop(), "removed  wait of getLogs"),
    "parameter renamed": (put("components parameters Line name", "after"), "renamed  line of getLogs"),
    "parameter written in another style": (
        put("components parameters ProjectFilter style", "form"),
        "changed  parameter ProjectFilter",
    ),
    "success status removed": (drop(LOGS + "responses 204"), "removed  204 of getLogs"),
    "success status added": (put(LOGS + "responses 202", {"description": "Later."}), "added    202 of getLogs"),
    "server removed": (
        lambda spec: spec["servers"].pop(),
        "removed  https://services.paperspace.io/experiments/v2 of all operations",
    ),
    "other key": (put("components securitySchemes apiKey name", "Authorization"), "changed  securitySchemes apiKey"),
    "Python keyword changed": (
        put(F + "projectHandle x-python-name", "project"),
        "changed  projectHandle of CommonFields",
    ),
    "attribute changed": (
        put(EXPERIMENT + "properties handle x-python-name", "handle"),
        "changed  handle of Experiment",
    ),
    "word of a value changed": (
        put(STATE + "x-enum-texts", [f"word {n}" for n in range(13)]),
        "changed  1 of ExperimentState",
    ),
    "name of a value gone": (
        lambda spec: [at(spec, STATE + key).pop() for key in ("enum", "x-enum-varnames", "x-enum-texts")],
        "removed  13 of ExperimentState",
    ),
    "class of constants renamed": (put(STATE + "x-constants", "State"), "changed  ExperimentState"),
    "stored name forgotten": (drop(F + "projectHandle x-stored-as"), "changed  projectHandle of CommonFields"),
    "other end of a log": (put(S + "LogRow properties message x-end", "EOF"), "changed  message of LogRow"),
    "new end of an experiment": (append(STATE + "x-terminal", 9), "changed  9 of ExperimentState"),
    "new state that is an end": (
        each(append(STATE + "enum", 14), append(STATE + "x-terminal", 14)),
        "added    14 of ExperimentState",
    ),
    "alias of a value gone": (
        put(MULTI + "properties experimentTypeId x-enum-aliases", ["GRPC", "OpenMPI"]),
        "changed  3 of experimentTypeId of MultiNodeRequest",
    ),
    "names of members limited": (
        put(F + "experimentEnv propertyNames", {"pattern": "^[A-Z]+$"}),
        "changed  experimentEnv.(names) of CommonFields",
    ),
    "default of a request changed": (
        put("components parameters Line schema default", 1),
        "changed  parameter Line",
    ),
    "default of a request removed": (drop("components parameters Line schema default"), "changed  parameter Line"),
    "exactly one alternative of a request": (move(S + "NewExperiment anyOf", "oneOf"), "changed  NewExperiment"),
    "name of another value": (
        each(append(STATE + "enum", 14), append(STATE + "x-enum-varnames", "RUNNING")),
        "added    14 of ExperimentState",
    ),
    "word of another value": (
        each(append(STATE + "enum", 14), append(STATE + "x-enum-texts", "running")),
        "added    14 of ExperimentState",
    ),
    "further key that is needed": (put("security", [{"apiKey": [], "team": []}]), "changed  all operations"),
    "other key instead": (put("security", [{"team": []}]), "changed  all operations"),
    "default of a variable of a server": (
        put("servers 0", {"url": "https://{place}.io", "variables": {"place": {"default": "us"}}}),
        "removed  https://services.paperspace.io/experiments/v1 of all operations",
    ),
    "keyword that nobody knows": (put(F + "name not", {"const": "x"}), "changed  name of CommonFields"),
}
HARMLESS = {
    "optional request field": (put(F + "tier", {"type": "string"}), "added    tier of CommonFields"),
    "request field no longer required": (remove(MULTI + "required", "name"), "changed  name of MultiNodeRequest"),
    "request type widened": (put(F + "name type", ["string", "integer"]), "changed  name of CommonFields"),
    "request limit widened": (
        drop(S + "SingleNodeFields properties container minLength"),
        "changed  container of SingleNodeFields",
    ),
    "request limit lowered": (
        put(S + "WorkerFields properties workerCount minimum", 0),
        "changed  workerCount of WorkerFields",
    ),
    "parameter limit widened": (put("components parameters Wait schema maximum", 90), "changed  parameter Wait"),
    "response limit narrowed": (put(S + "Created properties handle minLength", 2), "changed  handle of Created"),
    "request enum widened": (
        append(MULTI + "properties experimentTypeId enum", 4),
        "added    4 of experimentTypeId of MultiNodeRequest",
    ),
    "response field": (put(EXPERIMENT + "properties tier", {"type": "string"}), "added    tier of Experiment"),
    "response field becomes required": (append(EXPERIMENT + "required", "id"), "changed  id of Experiment"),
    "response type narrowed": (
        put(EXPERIMENT + "properties dtCreated type", "string"),
        "changed  dtCreated of Experiment",
    ),
    "value of an open response enum": (append(STATE + "enum", 14), "added    14 of ExperimentState"),
    "operation added": (
        lambda spec: spec["paths"].update({"/more": {"get": at(spec, LOGS.strip()) | {"operationId": "more"}}}),
        "added    GET /more",
    ),
    "optional parameter": (
        append(LOGS + "parameters", {"name": "job", "in": "query", "schema": {"type": "string"}}),
        "added    job of getLogs",
    ),
    "error status added": (put(LOGS + "responses 429", {"description": "Slower."}), "added    429 of getLogs"),
    "error status removed": (drop(LOGS + "responses 404"), "removed  404 of getLogs"),
    "default of a request that is new": (put(F + "name default", "mnist"), "changed  name of CommonFields"),
    "exactly one alternative of a response": (move(S + "StateNumber anyOf", "oneOf"), "changed  StateNumber"),
    "alternative of a response removed": (
        lambda spec: at(spec, S + "StateNumber anyOf").pop(),
        "removed  integer of StateNumber",
    ),
    "further key that may be given": (put("security", [{"apiKey": []}, {"team": []}]), "changed  all operations"),
    "no key needed any more": (put("security", []), "changed  all operations"),
    "deprecated": (put(F + "name deprecated", True), "changed  name of CommonFields"),
    "secret": (put(F + "name x-secret", True), "changed  name of CommonFields"),
    "printed form changed": (put(F + "name x-repr", "never"), "changed  name of CommonFields"),
}


def edited(edit):
    result = copy.deepcopy(SPEC)
    edit(result)
    return result


@pytest.mark.parametrize(("edit", "line"), BREAKING.values(), ids=BREAKING.keys())
def test_it_breaks_old_callers(edit, line):
    """The change is listed at its place, with a reason."""
    found = compare(SPEC, edited(edit))
    assert line in [f"{change.kind:<7}  {change.where}" for change in found if change.breaks]


@pytest.mark.parametrize(("edit", "line"), HARMLESS.values(), ids=HARMLESS.keys())
def test_it_does_not_break_old_callers(edit, line):
    """The change is listed at its place, alone, without a reason to break."""
    found = compare(SPEC, edited(edit))
    assert [f"{change.kind:<7}  {change.where}" for change in found] == [line]
    assert not found[0].breaks


LIMITS = {
    "minimum": (1, 2),
    "exclusiveMinimum": (1, 2),
    "minLength": (1, 2),
    "minItems": (1, 2),
    "minProperties": (1, 2),
    "maximum": (2, 1),
    "exclusiveMaximum": (2, 1),
    "maxLength": (2, 1),
    "maxItems": (2, 1),
    "maxProperties": (2, 1),
}
"""The keywords that limit values, each with a wide and a narrow limit."""
EXACT = {
    "pattern": ("a", "b"),
    "format": ("uri", "uuid"),
    "multipleOf": (2, 3),
    "uniqueItems": (False, True),
    "contentMediaType": ("text/plain", "text/html"),
}
"""The keywords of which no value is known to be wider than another."""


def breaks(path, before, after):
    """Return whether old callers break if a keyword has another value; None: it is not there."""
    old, new = (SPEC if value is None else edited(put(path, value)) for value in (before, after))
    (change,) = compare(old, new)
    return bool(change.breaks)


@pytest.mark.parametrize(("keyword", "limits"), LIMITS.items(), ids=LIMITS)
def test_a_request_may_be_limited_less_but_not_more(keyword, limits):
    wide, narrow = limits
    request, response = F + f"clusterId {keyword}", EXPERIMENT + f"properties dtStarted {keyword}"
    assert [breaks(request, *pair) for pair in ((wide, narrow), (None, wide))] == [True, True]
    assert [breaks(request, *pair) for pair in ((narrow, wide), (wide, None))] == [False, False]
    assert not any(breaks(response, *pair) for pair in ((wide, narrow), (narrow, wide), (None, wide), (wide, None)))


@pytest.mark.parametrize(("keyword", "values"), EXACT.items(), ids=EXACT)
def test_another_form_of_a_value_breaks_requests(keyword, values):
    one, other = values
    request, response = F + f"clusterId {keyword}", EXPERIMENT + f"properties dtStarted {keyword}"
    assert [breaks(request, *pair) for pair in ((one, other), (other, one), (None, one))] == [True, True, True]
    assert not breaks(request, one, None)
    assert not breaks(response, one, other)


def test_another_printed_form_is_harmless():
    assert not breaks(F + "clusterId x-repr", "never", "when-set")
    assert not breaks(F + "clusterId x-secret", True, None)


@pytest.mark.parametrize(
    "keyword", ["$comment", "description", "example", "examples", "externalDocs", "links", "summary", "title"]
)
def test_a_keyword_that_is_for_people_only_is_no_change(keyword):
    assert compare(SPEC, edited(put(F + f"name {keyword}", ["text"]))) == []


def test_a_default_of_a_response_is_harmless():
    assert not breaks(EXPERIMENT + "properties dtStarted default", "never", "ever")


def test_any_alternative_of_a_request_instead_of_exactly_one_is_harmless():
    (change,) = compare(edited(move(S + "NewExperiment anyOf", "oneOf")), SPEC)
    assert (change.where, change.breaks) == ("NewExperiment", "")


def test_a_name_of_a_new_operation_is_the_one_of_its_function():
    """Names in capitals and tags with signs are called as the generator calls them."""
    more = {"operationId": "getGPUs", "tags": ["v1/GPU types"]}
    (change,) = compare(SPEC, edited(lambda spec: spec["paths"].update({"/m": {"get": at(spec, LOGS.strip()) | more}})))
    assert change.sentence == "operation getGPUs; in Python gradient_api.api.v_1gpu_types.get_gp_us"


def test_a_shared_group_is_one_change():
    """A field of a group that three requests share is listed once; so is a status that two operations share."""
    assert len(compare(SPEC, edited(drop(F + "clusterId")))) == 1
    paths = ("paths /experiments/ post", "paths /experiments/run/ post")
    (change,) = compare(SPEC, edited(each(*(drop(f"{path} responses 415") for path in paths))))
    assert change.where == "415 of createExperiment, runExperiment"


def test_another_name_of_a_group_is_no_change_on_the_wire():
    renamed = edited(move(S + "CommonFields", "SharedFields"))
    for request in ("SingleNodeRequest", "MultiNodeRequest", "MpiMultiNodeRequest"):
        renamed["components"]["schemas"][request]["allOf"][0]["$ref"] = "#/components/schemas/SharedFields"
    (change,) = compare(SPEC, renamed)
    assert (change.where, change.breaks) == ("the contract", "")


def test_a_field_in_another_group_is_no_change():
    """What a request consists of counts, not how it is put together; that it is written otherwise is said."""
    properties = at(SPEC, S + "SingleNodeFields properties")
    moved = edited(drop(S + "SingleNodeFields properties registryUrl"))
    at(moved, S + "SingleNodeRequest allOf 2 properties")["registryUrl"] = properties["registryUrl"]
    (change,) = compare(SPEC, moved)
    assert (change.where, change.breaks) == ("the contract", "")
    assert change.sentence == "written in another way; nothing that this comparison knows is different"


def test_two_candidates_are_no_renaming():
    """Where it cannot be told which field became which, they are listed as removed and added."""
    properties = EXPERIMENT + "properties "
    one, other = "experimentTemplateId", "experimentTemplateHistoryId"
    assert at(SPEC, properties + one) == at(SPEC, properties + other), "they differ by their names only"
    renamed = edited(each(move(properties + one, "template"), move(properties + other, "history")))
    assert [change.kind for change in compare(SPEC, renamed)] == ["added", "added", "removed", "removed"]


def test_words_for_people_are_only_counted():
    """Other descriptions, examples and links are no change of the API, and a field called `title` is no description."""
    reworded = edited(each(put(F + "name description", "The name"), drop("components responses Created links")))
    del reworded["paths"]["/jobs/logs"]["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    assert compare(SPEC, reworded) == []
    assert compare(SPEC, edited(put(S + "Created title", "Made"))) == []
    assert texts_changed(SPEC, edited(put(F + "name description", "The name"))) == 1
    assert summary([], 1) == "  changed  1 of the descriptions, examples and links\nOld callers do not break."
    titled = edited(put(F + "title", {"type": "string"}))
    assert [change.name for change in compare(SPEC, titled)] == ["title"]


NAMES = st.sampled_from(["tier", "title", "properties", "Zone", "gpuCount", "x"])
TYPES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": ["boolean", "null"]}, {"type": "array"}])
OBJECTS = st.sampled_from(["CommonFields", "WorkerFields", "Experiment", "LogRow", "Created", "ListMeta"])
OPERATIONS = st.sampled_from([("/jobs/logs", "get"), ("/experiments/", "post"), ("/experiments/{handle}/", "get")])
FIELDS = st.lists(st.tuples(OBJECTS, NAMES, TYPES, st.booleans()), max_size=4, unique_by=lambda field: field[:2])
INSIDE = st.lists(
    st.tuples(OPERATIONS, st.sampled_from(["206", "418", "503"]), NAMES), max_size=2, unique_by=lambda one: one[0]
)
ENUMS = st.sampled_from(["ExperimentState", "ExperimentType"])
VALUES = st.lists(st.tuples(ENUMS, st.integers(20, 25)), max_size=2, unique=True)
ADDITIONS = st.tuples(FIELDS, INSIDE, VALUES)


def with_additions(additions):
    """The contract with some small things more."""
    spec = copy.deepcopy(SPEC)
    fields, operations, values = additions
    for owner, name, schema, required in fields:
        owning = spec["components"]["schemas"][owner]
        owning["properties"].setdefault(name, schema)
        if required and name not in owning.get("required", ()):
            owning.setdefault("required", []).append(name)
    for (path, method), status, parameter in operations:
        operation = spec["paths"][path][method]
        operation["responses"].setdefault(status, {"description": "One more."})
        operation.setdefault("parameters", []).append({"in": "query", "name": parameter, "schema": {}})
        more = copy.deepcopy(operation) | {"operationId": f"{operation['operationId']}Too"}
        spec["paths"].setdefault(f"{path}too/", {}).setdefault(method, more)
    for owner, value in values:
        spec["components"]["schemas"][owner]["enum"].append(value)
    return spec


def identities(changes, kind):
    assert {change.kind for change in changes} <= {kind}
    return [(change.subject, change.name, change.places, change.sentence) for change in changes]


@given(ADDITIONS)
def test_adding_and_removing_are_inverse(additions):
    """What compared one way was added is removed the other way: the same things, and nothing else."""
    more = with_additions(additions)
    added, removed = compare(SPEC, more), compare(more, SPEC)
    assert identities(added, "added") == identities(removed, "removed")
    assert all(change.breaks for change in removed if change.subject.endswith("field"))


@given(ADDITIONS, st.integers(0, 2**32))
def test_a_contract_compared_with_itself_is_unchanged(additions, seed):
    """Nothing changed, whatever the contract says and in whatever order."""
    chance = random.Random(seed)
    more = with_additions(additions)
    assert compare(more, shuffled(more, chance)) == []
    assert compare(SPEC, more) == compare(shuffled(SPEC, chance), shuffled(more, chance))


def shuffled(node, chance):
    if isinstance(node, dict):
        return {key: shuffled(node[key], chance) for key in chance.sample(sorted(node), len(node))}
    return [shuffled(item, chance) for item in node] if isinstance(node, list) else node


def ways(node, way=()):
    """Yield every path into a document, with what is at its end."""
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        yield (*way, str(name)), member
        yield from ways(member, (*way, str(name)))


FOR_PEOPLE = {"description", "example", "examples", "links", "summary", "title"}
REMOVABLE = [
    " ".join(way)
    for part in ("paths", "components")
    for way, member in ways(SPEC[part], (part,))
    if not FOR_PEOPLE & set(way)
    # Without these the contract would be none, or refer to what is not there.
    and (part == "paths" or len(way) > 3)
    and way[-1] not in ("name", "in", "responses", "url")
    and not ("parameters" in way and way[-1] == "$ref")
    # That everything is allowed is so without words, too.
    and member not in (True, {})
]


@given(st.sampled_from(REMOVABLE))
def test_no_edit_passes_unseen(path):
    """Whatever is taken out of the contract, or put back, something is said of it."""
    less = edited(drop(path))
    for changes in (compare(SPEC, less), compare(less, SPEC)):
        assert changes
        assert changes[0].subject != "contract" or changes[0].breaks
