"""The server against the contract: schemathesis sends what the contract allows and what it does not, and judges."""

import pytest
from hypothesis import HealthCheck, settings

from tests.contract.calling import KEY_HEADER, OPERATIONS, SCHEMA, SPEC, on, record

IDEMPOTENCY_KEY = SPEC["components"]["parameters"]["IdempotencyKey"]
WITH_A_BODY = {name: found for name, found in OPERATIONS.items() if found.body}
WRONG = "no value of any parameter"
PLACES = ("query", "headers")
WITH_PARAMETERS = {name: found for name, found in OPERATIONS.items() if "400" in found.definition.raw["responses"]}
ONCE = {name: found for name, found in OPERATIONS.items() if found.headers.get(IDEMPOTENCY_KEY["name"])}


@SCHEMA.parametrize()
# What earlier cases made does no harm to later ones.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_operation(case, gradient_server, tally):
    """Examples, boundaries and random data, allowed and not: every answer is one that the contract declares."""
    response = case.call_and_validate(**on(gradient_server, case.operation))
    record(tally, case, response)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize(
    "wrong", [lambda key: "", lambda key: key[:-1], lambda key: key + "x", str.upper, "Bearer {}".format]
)
def test_wrong_keys(gradient_server, tally, operation, wrong):
    """No operation does anything for a wrong key, and each says so as the contract declares."""
    case = operation.Case(
        path_parameters={"handle": "es1"},
        query={"experimentId": "es1"},
        headers={KEY_HEADER: wrong(gradient_server.api_key)},
    )
    response = case.call(**on(gradient_server, operation))
    record(tally, case, response)
    assert response.status_code in (401, 403)
    case.validate_response(response)


@pytest.mark.parametrize("operation", ONCE.values(), ids=ONCE)
def test_the_key_of_another_request(gradient_server, tally, operation):
    """A key that was given with another body, path or operation is refused by every operation that takes keys."""
    examples = SPEC["components"]["examples"]
    bodies = [examples[kind]["value"] for kind in ("SingleNodeRequest", "MultiNodeRequest")]
    answered = []
    for called, body in ((OPERATIONS["createExperiment"], bodies[0]), (operation, bodies[1])):
        case = called.Case(
            path_parameters={"handle": "es1"},
            headers={KEY_HEADER: gradient_server.api_key, IDEMPOTENCY_KEY["name"]: IDEMPOTENCY_KEY["example"]},
            **({"body": body, "media_type": "application/json"} if called.body else {}),
        )
        response = case.call_and_validate(**on(gradient_server, called))
        record(tally, case, response)
        answered.append(response.status_code)
    assert answered == [200, 422]


@pytest.mark.parametrize("operation", WITH_PARAMETERS.values(), ids=WITH_PARAMETERS)
def test_wrong_parameters(gradient_server, tally, operation):
    """A value that a parameter cannot have is refused, whatever the rest is."""
    wrong = {place: {parameter.name: WRONG for parameter in getattr(operation, place)} for place in PLACES}
    wrong["headers"][KEY_HEADER] = gradient_server.api_key
    case = operation.Case(path_parameters={"handle": "es1"}, **wrong)
    assert refusal_of(case, gradient_server, tally) == 400


@pytest.mark.parametrize("operation", WITH_A_BODY.values(), ids=WITH_A_BODY)
def test_bodies_of_another_kind(gradient_server, tally, operation):
    """What is not JSON is refused, also where it reads like that."""
    case = operation.Case(
        headers={KEY_HEADER: gradient_server.api_key, "Content-Type": "text/plain"},
        body=SPEC["components"]["examples"]["SingleNodeRequest"]["value"],
        media_type="application/json",
    )
    assert refusal_of(case, gradient_server, tally) == 415


def refusal_of(case, server, tally):
    response = case.call(**on(server, case.operation))
    record(tally, case, response)
    case.validate_response(response)
    return response.status_code
