"""The client against the contract, receiving: it understands what the contract allows, and survives the rest.

Responses are made from the schemas by schemathesis (`judging.generated`) and served over a socket. What the contract
leaves open makes no difference to the client; what breaks the contract is an error of this package or something
well-formed, and never anything else.
"""

import contextlib
import itertools
import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.answers import answers, as_json, check_faithful, check_followed, check_well_formed, conforms, schema_of
from judging.contract import END_OF_LOG, KINDS_OF_BODY, OPERATIONS, SCHEMAS, members, snake_case
from judging.keywords import SIMPLE
from judging.methods import ANSWERED, ARGUMENTS, READ_AGAIN
from judging.mutations import ODD, STRANGE, as_floats, as_texts, optional_places, places, replaced, with_extras, without
from judging.wire import API_KEY

from gradient import (
    BaseExperiment,
    DownloadError,
    ExperimentsClient,
    GradientSdkError,
    MalformedResponseError,
    ResourceFetchingError,
    constants,
)
from gradient_ext.redaction import escape_control_characters

ALL = [(method, operation, status) for method, operation in ANSWERED for status in OPERATIONS[operation].answers]
SUCCESSES = [case for case in ALL if case[-1] < 300]
REFUSALS = [case for case in ALL if case[-1] >= 300]
CASES = [(method, operation) for method, operation in ANSWERED if schema_of(operation, OPERATIONS[operation].success)]
ONE_EACH = list({operation: (method, operation) for method, operation in reversed(ANSWERED)}.values())
STATUSES = sorted({status.value for status in HTTPStatus if status >= 200} | {209, 299, 399, 420, 444, 520, 530, 599})
BODILESS = (204, 205, 304)
NO_TEXTS = (None, True, [], {}, ["text"], float("nan"))
NO_INTEGERS = (None, True, [], {}, [1], 1.5, "one", "", float("nan"), float("inf"))
SUCCESS = {one.id: one.success for one in OPERATIONS.values()}
EXAMPLE = {
    one.id: json.loads(one.example(one.success)[2] or "null")
    for one in OPERATIONS.values()
    if one.example(one.success)[1] == "application/json"
}


@pytest.mark.parametrize(("method", "operation", "status"), SUCCESSES)
def test_what_the_contract_allows_is_understood(answered, share, method, operation, status):
    """Every success becomes an object of the right type that says what the answer says."""

    @share(5)
    @given(answers(operation, status))
    def check(answer):
        result = answered(method, operation, answer)
        check_well_formed(result)
        body = json.loads(answer[2] or "null") if answer[1] == "application/json" else answer[2]
        if method != "yield_logs":
            check_faithful(result, operation, body)
        elif operation == "getLogs":
            check_followed(result, body)

    check()


@pytest.mark.parametrize(("method", "operation", "status"), REFUSALS)
def test_what_a_server_refuses_is_an_error_with_its_words(answered, wire, share, method, operation, status):
    """Every documented error is a ResourceFetchingError that says the status, the request and what the server said."""

    @share(15)
    @given(answers(operation, status))
    def check(answer):
        if operation in ("getExperimentState", "listArtifacts"):
            wire.answers["getExperiment"] = answer  # which is asked where the server does not know the operation
        if (operation, status) == READ_AGAIN:
            with pytest.raises(DownloadError, match="changed again and again"):
                answered(method, operation, answer)
            return
        with pytest.raises(ResourceFetchingError) as caught:
            answered(method, operation, answer)
        assert caught.value.status == status
        assert f"{status} from {OPERATIONS[operation].method}" in str(caught.value)
        assert API_KEY not in str(caught.value)
        body = json.loads(answer[2]) if answer[1] == "application/json" else {}
        words = [body[name] for name in ("details", "error") if isinstance(body.get(name), str) and body[name].strip()]
        shown = [escape_control_characters(word.strip(), multiline=True) for word in words]
        assert all(word[:500] in caught.value.message for word in shown)

    check()


def test_every_answer_of_the_contract_is_given():
    """The floor of this suite: each operation with each of its statuses is a case of one of the tests above."""
    declared = {(operation.id, status) for operation in OPERATIONS.values() for status in operation.answers}
    assert {(operation, status) for _, operation, status in ALL} == declared


@pytest.mark.parametrize("type_id", SCHEMAS["ExperimentType"]["enum"])
@pytest.mark.parametrize("spelled", [str, snake_case], ids=["wire names", "snake case"])
def test_every_attribute_is_read(answered, type_id, spelled):
    """An experiment that tells everything has a value in each attribute."""
    fields = {name: schema for request in KINDS_OF_BODY for name, schema in members(request).items()}
    params = {spelled(name): SIMPLE[schema["type"]] for name, schema in fields.items()}
    shown = {name: each for name, each in SCHEMAS["Experiment"]["properties"].items() if "x-python-name" in each}
    outer = {name: SIMPLE[schema["type"][0]] for name, schema in shown.items() if isinstance(schema.get("type"), list)}
    told = outer | {"handle": "es1", "experimentTypeId": type_id, "state": 4, "templateHistory": {"params": params}}
    experiment = answered("get", "getExperiment", as_json({"data": told}))
    check_well_formed(experiment)
    check_faithful(experiment, "getExperiment", {"data": told})
    assert [field.name for field in experiment._fields if getattr(experiment, field.name) is None] == []


@pytest.mark.parametrize("method", ["logs", "yield_logs"])
@pytest.mark.parametrize("ends", [True, False])
def test_a_log_is_read_to_its_end(answered, method, ends):
    """Each row of the example comes once, and the end of the log is no row, whether it is told or not."""
    rows = json.loads(OPERATIONS["getLogs"].example(200)[2])
    assert rows[-1]["message"] == END_OF_LOG
    told = rows if ends else rows[:-1]
    result = answered(method, "getLogs", as_json(told))
    check_faithful(result, "getLogs", told)


@pytest.fixture
def understood(answered):
    """Call a method and return its result, which must be well-formed."""

    def understood(method, operation, body):
        result = answered(method, operation, as_json(body, SUCCESS[operation]))
        check_well_formed(result)
        return result

    return understood


@pytest.mark.parametrize(("method", "operation"), [case for case in CASES if "getTags" not in case])
def test_members_that_nobody_knows(understood, share, method, operation):
    """More members in every object of an answer make no difference; those of `getTags` are ids."""

    @share(10)
    @given(answers(operation, SUCCESS[operation]), st.sampled_from(ODD))
    def check(answer, extra):
        body = json.loads(answer[2])
        assert understood(method, operation, with_extras(body, extra)) == understood(method, operation, body)

    check()


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_members_that_may_be_missing(understood, share, method, operation):
    """Any of the optional members can be left out, or be null, which is the same."""
    schema = schema_of(operation, SUCCESS[operation])

    @share(10)
    @given(answers(operation, SUCCESS[operation]), st.data())
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
    @given(answers(operation, SUCCESS[operation]))
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


@pytest.fixture
def survived(answered):
    """Call a method and return its result; None for an error of this package."""

    def survived(method, operation, answer):
        with contextlib.suppress(GradientSdkError):
            result = answered(method, operation, answer)
            check_well_formed(result)
            return result

    return survived


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_something_else_somewhere(survived, share, method, operation):
    """One place of an answer holds something else, or is not there."""

    @share(10)
    @given(answers(operation, SUCCESS[operation]), st.data(), st.sampled_from(ODD))
    def check(answer, data, odd):
        body = json.loads(answer[2])
        place, _ = data.draw(st.sampled_from(list(places(body))))
        survived(method, operation, as_json(replaced(body, [place], odd), SUCCESS[operation]))
        if place:
            survived(method, operation, as_json(without(body, [place]), SUCCESS[operation]))
        survived(method, operation, as_json(as_texts(body), SUCCESS[operation]))

    check()


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_something_else_everywhere(survived, method, operation):
    """Each place of the example of the contract holds each odd thing in turn."""
    for place, _ in places(EXAMPLE[operation]):
        for odd in ODD if len(place) <= 3 else ():  # What is further down is data.
            survived(method, operation, as_json(replaced(EXAMPLE[operation], [place], odd), SUCCESS[operation]))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_bodies_that_are_none(answered, method, operation):
    """Web pages, nothing at all, half an answer: an error, unless in whatever encoding it is what the contract says."""
    whole = as_json(EXAMPLE[operation])[2]
    halves = [whole[:end] for end in range(0, len(whole), max(1, len(whole) // 20))]
    encodings = [whole.decode().encode(encoding) for encoding in ("utf-16", "utf-32-be", "utf-8-sig")]
    for body in (*STRANGE, *halves, *encodings):
        expected = contextlib.nullcontext() if conforms(operation, body) else pytest.raises(MalformedResponseError)
        with expected:
            check_well_formed(answered(method, operation, (SUCCESS[operation], "application/json", body)))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_an_array_is_no_object_and_the_other_way_round(answered, method, operation):
    """Wherever the contract asks for an object, no array will do, not even of pairs, and nothing that is empty."""
    example = EXAMPLE[operation]
    optional = set(optional_places(example, schema_of(operation, SUCCESS[operation])))
    for place, value in places(example):
        if not isinstance(value, list | dict) or any(place[:end] in optional for end in range(len(place) + 1)):
            continue
        wrong = [{}, ""] if isinstance(value, list) else [[], "", [[name, one] for name, one in value.items()]]
        for body in (replaced(example, [place], one) for one in wrong):
            with pytest.raises(MalformedResponseError):
                answered(method, operation, as_json(body, SUCCESS[operation]))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_content_types_that_do_not_fit(survived, method, operation):
    """An answer is read whatever it is declared as."""
    _, _, body = as_json(EXAMPLE[operation])
    for content_type in ("text/html", "application/octet-stream", "", "application/json; charset=nonsense", "é/ü;;="):
        result = survived(method, operation, (SUCCESS[operation], content_type, body))
        assert result == survived(method, operation, (SUCCESS[operation], "application/json", body))


@pytest.mark.parametrize(("method", "operation"), ONE_EACH)
def test_other_statuses(answered, wire, subtests, method, operation):
    """Each status: an error that says it, with the words of the server, unless it is a success that is understood."""
    bodies = itertools.cycle([b"", b"<title>words of a server</title>", b'{"error": "words of a server"}'])
    for status in STATUSES:
        body = b"" if status in BODILESS else next(bodies)
        answer = (status, "application/json", body)
        wire.answers["getExperiment"] = answer  # which is asked where there is no light state
        with subtests.test(status=status, body=body):
            if status < 300:
                with contextlib.suppress(GradientSdkError):
                    check_well_formed(answered(method, operation, answer))
                continue
            if (operation, status) == READ_AGAIN:
                continue
            with pytest.raises(ResourceFetchingError) as caught:
                answered(method, operation, answer)
            assert caught.value.status == status
            assert not body or "words of a server" in str(caught.value)


def test_one_odd_experiment_in_a_list(answered, subtests):
    """It is an error: it is neither left out nor taken for something else. Only a number is as good a handle as a text.

    Of an experiment without a type or state a list with `data` makes what could pass for a group.
    """
    first, last, good = ({"handle": f"es{number}", "experimentTypeId": 1, "state": 4} for number in (1, 2, 3))
    lacking = [without(good, [(name,)]) for name in good]
    odd_ones = [odd for odd in ODD if odd != {"data": []}] + lacking
    odd_ones += [one | {"data": []} for one in lacking if "handle" in one] + [{"data": [odd]} for odd in ODD[:-2]]
    odd_ones += [good | {"handle": odd} for odd in ("", *NO_TEXTS)]
    odd_ones += [good | {name: odd} for name in ("state", "experimentTypeId") for odd in NO_INTEGERS]
    for odd in odd_ones:
        for data in ([odd], [first, odd], [first, odd, last], [{"data": [first, odd]}]):
            with subtests.test(data=data), pytest.raises(MalformedResponseError):
                answered("list", "listExperiments", as_json({"data": data}))


@pytest.mark.parametrize("method", ["logs", "yield_logs"])
def test_one_odd_row_in_a_log(answered, subtests, method):
    """It is an error: no row is lost without a word. Only a number is as good a message as a text."""
    good = {"line": 1, "message": "text", "timestamp": "2019-07-08T12:40:59.28Z", "jobId": "js1"}
    odd_ones = [*ODD, *(without(good, [(name,)]) for name in good if name != "jobId")]
    odd_ones += [good | {"line": odd} for odd in NO_INTEGERS]
    odd_ones += [good | {name: odd} for name in ("message", "timestamp") for odd in NO_TEXTS]
    for odd in odd_ones:
        with subtests.test(odd=odd), pytest.raises(MalformedResponseError):
            answered(method, "getLogs", as_json([good, odd, good | {"line": 2}]))


def test_every_method_is_tried():
    """With each operation that answers it; a delete is answered with nothing that could be wrong.

    A download is answered with any bytes. `projects.get` looks for a project in a list, tags of projects are read as
    those of experiments, and streams of metrics as metrics.
    """
    others = {"delete", "download", "get_logs", "remove_tags", "stream_metrics", "projects.delete", "projects.get"}
    others |= {f"projects.{each}_tags" for each in ("add", "remove", "list")}
    assert {method for method, _ in CASES} == set(ARGUMENTS) - others
    assert ExperimentsClient.get_logs is ExperimentsClient.logs
    assert {operation for _, operation in ONE_EACH} == set(OPERATIONS)
