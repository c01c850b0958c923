"""The client against a server that nobody here wrote: Prism makes it up from the contract alone."""

import itertools
from typing import get_type_hints

import prism
import pytest
from contract import OPERATIONS
from recording import Recorder
from violations import violations
from wellformed import ill_formed

import gradient
from gradient import ExperimentsClient, LogsInterruptedError, ResourceFetchingError

NAMES = {name: getattr(gradient, name) for name in gradient.__all__}
"""What the module of the client names, and does not load."""
PATIENCE = 4  # requests, after which the server has had enough of somebody who follows logs
BY_ID = {operation.id: operation for operation in OPERATIONS}
CALLS = {
    ("create_single_node", "createExperiment"): lambda client, single, multi: client.create_single_node(**single),
    ("create_multi_node", "createExperiment"): lambda client, single, multi: client.create_multi_node(**multi),
    ("run_single_node", "runExperiment"): lambda client, single, multi: client.run_single_node(**single),
    ("run_multi_node", "runExperiment"): lambda client, single, multi: client.run_multi_node(**multi),
    ("start", "startExperiment"): lambda client, single, multi: client.start("es1"),
    ("stop", "stopExperiment"): lambda client, single, multi: client.stop("es1"),
    ("delete", "deleteExperiment"): lambda client, single, multi: client.delete("es1"),
    ("get", "getExperiment"): lambda client, single, multi: client.get("es1"),
    ("list", "listExperiments"): lambda client, single, multi: client.list(["pr1", "pr2"], limit=7, offset=1),
    ("state", "getExperimentState"): lambda client, single, multi: client.state("es1"),
    ("logs", "getLogs"): lambda client, single, multi: client.logs("es1", line=3, limit=9),
    ("yield_logs", "getExperiment"): lambda client, single, multi: first(client.yield_logs("es1")),
    ("yield_logs", "getLogs"): lambda client, single, multi: first(client.yield_logs("es1")),
}


def first(rows):
    return list(itertools.islice(rows, 5))


class ForeignServer:
    """What the server is asked to answer, and what it has answered."""

    def __init__(self):
        self.exchanges = []
        self.asked = None
        self.wish = {}

    def preference(self, method, path):
        """Say it in the header that Prism reads; the status is meant for one operation only."""
        wish = {**self.wish}
        if BY_ID["getLogs"].is_at(method, path) and len(self.exchanges) >= PATIENCE:
            wish = {"code": 404, **{name: value for name, value in wish.items() if name in ("dynamic", "seed")}}
        elif not self.asked.is_at(method, path):
            wish = {name: value for name, value in wish.items() if name in ("dynamic", "seed")}
        return {"Prefer": ", ".join(f"{name}={value}" for name, value in wish.items())}


@pytest.fixture(scope="module")
def foreign():
    server = ForeignServer()
    with prism.mocking() as url, Recorder({"": url}, server.exchanges, server.preference) as recorder:
        server.url = recorder.url
        yield server


def wishes(operation, seeds):
    """Ask for every status: with what the schema allows, many times, and with every example that the contract has."""
    for status, examples in operation.examples.items():
        for seed in range(seeds):
            yield {"code": status, "dynamic": "true", "seed": seed}
        for example in examples:
            yield {"code": status, "dynamic": "false", "example": example}


@pytest.mark.parametrize(("method", "operation_id"), CALLS, ids=map("-".join, CALLS))
def test_every_answer(foreign, single_node, multi_node, tally, pytestconfig, method, operation_id):
    """Whatever the contract allows the server to say: a success gives what the method promises, an error its status."""
    call = CALLS[method, operation_id]
    promised = get_type_hints(getattr(ExperimentsClient, method), localns=NAMES)["return"]
    foreign.asked = BY_ID[operation_id]
    # Whoever follows logs pauses now and then.
    seeds = max(1, pytestconfig.option.examples // (25 if method == "yield_logs" else 5))
    # Each answer is to be met, and not ridden out.
    impatient = {"max_attempts": 1, "patience": 0.001}
    with ExperimentsClient("a-key", base_url=foreign.url, logs_url=foreign.url, **impatient) as client:
        for wish in wishes(foreign.asked, seeds):
            foreign.wish = wish
            foreign.exchanges.clear()
            try:
                result, error = call(client, single_node, multi_node), None
            except ResourceFetchingError as caught:
                result, error = None, caught
            except LogsInterruptedError as caught:
                result, error = None, caught.error
            statuses = [exchange.status for exchange in foreign.exchanges]
            assert violations(foreign.exchanges) == []
            assert wish["code"] in statuses
            if error:
                assert error.status == statuses[-1], repr(error)
                assert str(error.status) in str(error)
            else:
                assert statuses[-1] < 400
                assert ill_formed(result, promised) == []
                assert repr(result)
            tally.count("foreign server", "calls")
            tally.count("foreign server", "requests", len(statuses))
            tally.see("foreign server", "answers to methods", (method, operation_id, wish["code"]))
