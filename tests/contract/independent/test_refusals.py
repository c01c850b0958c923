"""Requests that the contract forbids: the server must refuse them as it says, with an answer that Prism has nothing
against. The client sends none of these, so they are sent without it.
"""

import httpx
import pytest
from contract import KEY_HEADER, OPERATIONS, SPEC
from values import full_body, unfit

UNKNOWN = "esnothing"
IDEMPOTENCY_KEY = SPEC["components"]["parameters"]["IdempotencyKey"]


def request(operation, address, key):
    """Put together a request that the contract allows, for an experiment that there is not."""
    body = full_body(next(iter(operation.body_kinds.values()))) if operation.body_kinds else None
    query = {p["name"]: UNKNOWN for p in operation.parameters if p["in"] == "query" and p.get("required")}
    url = address + operation.prefixes[0] + operation.path.format(handle=UNKNOWN)
    return {"method": operation.method, "url": url, "headers": {KEY_HEADER: key}, "params": query, "json": body}


def refusals(operation, asked):
    """Spoil a request in every way that the contract gives a status for."""
    yield {**asked, "headers": {KEY_HEADER: "wrong"}}, min({401, 403} & {*operation.statuses})
    for parameter in operation.parameters:
        wrong = unfit(parameter)
        if wrong:
            place = "headers" if parameter["in"] == "header" else "params"
            yield {**asked, place: {**asked[place], **wrong}}, 400
    if operation.body_kinds:
        yield {**asked, "json": {}}, 400
        text = {"json": None, "content": "name=mnist", "headers": {**asked["headers"], "Content-Type": "text/plain"}}
        yield {**asked, **text}, 415
    elif UNKNOWN in asked["url"] + str(asked["params"]):
        yield asked, 404
    if IDEMPOTENCY_KEY["name"] in [parameter["name"] for parameter in operation.parameters]:
        key = {IDEMPOTENCY_KEY["name"]: IDEMPOTENCY_KEY["example"]}
        keyed = {**asked, "headers": {**asked["headers"], **key}}
        yield keyed, 200 if operation.body_kinds else 404
        body = {**asked["json"], "name": "another"} if operation.body_kinds else None
        yield {**keyed, "url": asked["url"].replace(UNKNOWN, "esother"), "json": body}, 422


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_refusals(lenient_url, gradient_server, operation, tally):
    """Wrong key, parameter, body, kind of body, no such experiment, the key of another: each has its status."""
    asked = request(operation, lenient_url, gradient_server.api_key)
    for spoilt, status in refusals(operation, asked):
        answer = httpx.request(**spoilt)
        assert answer.status_code == status, answer.text
        tally.count("refusals, judged by Prism", "requests")
        tally.see("refusals, judged by Prism", "statuses of operations", (operation.id, status))
