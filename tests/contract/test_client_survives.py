"""The client against servers that break the contract: an error of this package or something well-formed, never else."""

import contextlib
import itertools
import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.answers import answers, as_json, check_well_formed, conforms, schema_of
from judging.contract import OPERATIONS
from judging.methods import ANSWERED, ARGUMENTS
from judging.mutations import ODD, STRANGE, as_texts, optional_places, places, replaced, without

from gradient import ExperimentsClient, GradientSdkError, MalformedResponseError, ResourceFetchingError

WHAT = "broken answers"
CASES = [(method, operation) for method, operation in ANSWERED if schema_of(operation, OPERATIONS[operation].success)]
ONE_EACH = list({operation: (method, operation) for method, operation in reversed(ANSWERED)}.values())
STATUSES = sorted({status.value for status in HTTPStatus if status >= 200} | {209, 299, 399, 420, 444, 520, 530, 599})
BODILESS = (204, 205, 304)
NO_TEXTS = (None, True, [], {}, ["text"], float("nan"))
NO_INTEGERS = (None, True, [], {}, [1], 1.5, "one", "", float("nan"), float("inf"))
EXAMPLE = {one.id: json.loads(one.example(one.success)[2] or "null") for one in OPERATIONS.values()}


@pytest.fixture
def survived(answered):
    """Say what a method makes of an answer; None for an error of this package."""

    def survived(method, operation, answer):
        with contextlib.suppress(GradientSdkError):
            result = answered(WHAT, method, operation, answer)
            check_well_formed(result)
            return result

    return survived


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_something_else_somewhere(survived, share, method, operation):
    """One place of an answer holds something else, or is not there."""

    @share(10)
    @given(answers(operation, 200), st.data(), st.sampled_from(ODD))
    def check(answer, data, odd):
        body = json.loads(answer[2])
        place, _ = data.draw(st.sampled_from(list(places(body))))
        survived(method, operation, as_json(replaced(body, [place], odd)))
        if place:
            survived(method, operation, as_json(without(body, [place])))
        survived(method, operation, as_json(as_texts(body)))

    check()


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_something_else_everywhere(survived, method, operation):
    """Each place of the example of the contract holds each odd thing in turn."""
    for place, _ in places(EXAMPLE[operation]):
        for odd in ODD if len(place) <= 3 else ():  # What is further down is data.
            survived(method, operation, as_json(replaced(EXAMPLE[operation], [place], odd)))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_bodies_that_are_none(answered, method, operation):
    """Web pages, nothing at all, half an answer: an error, unless in whatever encoding it is what the contract says."""
    whole = as_json(EXAMPLE[operation])[2]
    halves = [whole[:end] for end in range(0, len(whole), max(1, len(whole) // 20))]
    encodings = [whole.decode().encode(encoding) for encoding in ("utf-16", "utf-32-be", "utf-8-sig")]
    for body in (*STRANGE, *halves, *encodings):
        expected = contextlib.nullcontext() if conforms(operation, body) else pytest.raises(MalformedResponseError)
        with expected:
            check_well_formed(answered(WHAT, method, operation, (200, "application/json", body)))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_an_array_is_no_object_and_the_other_way_round(answered, method, operation):
    """Wherever the contract asks for an object, no array will do, not even of pairs, and nothing that is empty."""
    example = EXAMPLE[operation]
    optional = set(optional_places(example, schema_of(operation, 200)))
    for place, value in places(example):
        if not isinstance(value, list | dict) or any(place[:end] in optional for end in range(len(place) + 1)):
            continue
        wrong = [{}, ""] if isinstance(value, list) else [[], "", [[name, one] for name, one in value.items()]]
        for body in (replaced(example, [place], one) for one in wrong):
            with pytest.raises(MalformedResponseError):
                answered(WHAT, method, operation, as_json(body))


@pytest.mark.parametrize(("method", "operation"), CASES)
def test_content_types_that_do_not_fit(survived, method, operation):
    """An answer is read whatever it is declared as."""
    _, _, body = as_json(EXAMPLE[operation])
    for content_type in ("text/html", "application/octet-stream", "", "application/json; charset=nonsense", "é/ü;;="):
        result = survived(method, operation, (200, content_type, body))
        assert result == survived(method, operation, (200, "application/json", body))


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
                    check_well_formed(answered(WHAT, method, operation, answer))
                continue
            with pytest.raises(ResourceFetchingError) as caught:
                answered(WHAT, method, operation, answer)
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
                answered(WHAT, "list", "listExperiments", as_json({"data": data}))


@pytest.mark.parametrize("method", ["logs", "yield_logs"])
def test_one_odd_row_in_a_log(answered, subtests, method):
    """It is an error: no row is lost without a word. Only a number is as good a message as a text."""
    good = {"line": 1, "message": "text", "timestamp": "2019-07-08T12:40:59.28Z", "jobId": "js1"}
    odd_ones = [*ODD, *(without(good, [(name,)]) for name in good if name != "jobId")]
    odd_ones += [good | {"line": odd} for odd in NO_INTEGERS]
    odd_ones += [good | {name: odd} for name in ("message", "timestamp") for odd in NO_TEXTS]
    for odd in odd_ones:
        with subtests.test(odd=odd), pytest.raises(MalformedResponseError):
            answered(WHAT, method, "getLogs", as_json([good, odd, good | {"line": 2}]))


def test_every_method_is_tried():
    """With each operation that answers it; a delete is answered with nothing that could be wrong."""
    assert {method for method, _ in CASES} == set(ARGUMENTS) - {"delete", "get_logs"}
    assert ExperimentsClient.get_logs is ExperimentsClient.logs
    assert {operation for _, operation in ONE_EACH} == set(OPERATIONS)
