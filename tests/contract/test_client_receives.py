"""The client against the contract, receiving: whatever the contract lets a server say, a client understands.

Answers are made from the response schemas by schemathesis (`judging.generated`) and served over a socket.
"""

import json

import pytest
from hypothesis import given
from judging.answers import answers, as_json, check_faithful, check_followed, check_well_formed
from judging.contract import END_OF_LOG, KINDS_OF_BODY, OPERATIONS, SCHEMAS, members, snake_case
from judging.keywords import SIMPLE
from judging.methods import ANSWERED
from judging.wire import API_KEY

from gradient import ResourceFetchingError

WHAT = "answers of the contract"
CASES = [(method, operation, status) for method, operation in ANSWERED for status in OPERATIONS[operation].answers]
SUCCESSES = [case for case in CASES if case[-1] < 300]
REFUSALS = [case for case in CASES if case[-1] >= 300]


@pytest.mark.parametrize(("method", "operation", "status"), SUCCESSES)
def test_what_the_contract_allows_is_understood(answered, share, method, operation, status):
    """Every success becomes an object of the right type that says what the answer says."""

    @share(5)
    @given(answers(operation, status))
    def check(answer):
        result = answered(WHAT, method, operation, answer)
        check_well_formed(result)
        body = json.loads(answer[2] or "null")
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
        if operation == "getExperimentState":
            wire.answers["getExperiment"] = answer  # which is asked where there is no light state
        with pytest.raises(ResourceFetchingError) as caught:
            answered(WHAT, method, operation, answer)
        assert caught.value.status == status
        assert f"{status} from {OPERATIONS[operation].method}" in str(caught.value)
        assert API_KEY not in str(caught.value)
        body = json.loads(answer[2]) if answer[1] == "application/json" else {}
        words = [body[name] for name in ("details", "error") if isinstance(body.get(name), str) and body[name].strip()]
        assert all(word.strip()[:500] in caught.value.message for word in words)

    check()


def test_every_answer_of_the_contract_is_given():
    """The floor of this suite: each operation with each of its statuses is a case of one of the tests above."""
    declared = {(operation.id, status) for operation in OPERATIONS.values() for status in operation.answers}
    assert {(operation, status) for _, operation, status in CASES} == declared


@pytest.mark.parametrize("type_id", SCHEMAS["ExperimentType"]["enum"])
@pytest.mark.parametrize("spelled", [str, snake_case], ids=["wire names", "snake case"])
def test_every_attribute_is_read(answered, type_id, spelled):
    """An experiment that tells everything has a value in each attribute."""
    fields = {name: schema for request in KINDS_OF_BODY for name, schema in members(request).items()}
    params = {spelled(name): SIMPLE[schema["type"]] for name, schema in fields.items()}
    outer = {name: "text" for name, schema in SCHEMAS["Experiment"]["properties"].items() if "x-python-name" in schema}
    told = outer | {"experimentTypeId": type_id, "state": 4, "templateHistory": {"params": params}}
    experiment = answered(WHAT, "get", "getExperiment", as_json({"data": told}))
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
    result = answered(WHAT, method, "getLogs", as_json(told))
    check_faithful(result, "getLogs", told)
