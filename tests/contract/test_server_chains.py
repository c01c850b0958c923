"""Chains of calls along the links that the contract declares: at random, and through all orders."""

import itertools

import pytest
from hypothesis import Phase, settings

from tests.contract.calling import KEY_HEADER, OPERATIONS, SCHEMA, SPEC, SUITE, id_of, on, record

IN_ORDER = (
    *("createExperiment", "startExperiment", "getExperimentState"),
    *("getLogs", "stopExperiment", "deleteExperiment"),
)
LINKS = {
    link["operationId"]: link["parameters"] for link in SPEC["components"]["responses"]["Created"]["links"].values()
}
BODIES = [example["value"] for name, example in SPEC["components"]["examples"].items() if name.endswith("Request")]


class Chains(SCHEMA.as_state_machine()):
    """Random sequences of calls, on the second version of the service; the test sets the server and the tally."""

    server = None
    tally = None

    def setup(self):
        self.server.reset()
        self.chains = {}

    def get_call_kwargs(self, case):
        return on(self.server, case.operation, version=1)

    def after_call(self, response, case):
        super().after_call(response, case)
        record(self.tally, case, response)
        if response.status_code == 200 and case.operation.method == "post":
            self.chains[response.json()["handle"]] = [id_of(case.operation)]
        else:
            handle = (case.path_parameters or {}).get("handle") or (case.query or {}).get("experimentId")
            self.chains.get(handle, []).append(id_of(case.operation))
        # Simulated time goes by between the calls and only there: runs are met in all their phases, and always in
        # the same ones.
        self.server.advance(1.5)

    def teardown(self):
        for chain in self.chains.values():
            self.tally.see(SUITE, "random chains", tuple(chain))


def test_random_chains(gradient_server, tally):
    """The stateful phase: create something, then follow the declared links from it, with data allowed and not."""
    Chains.server, Chains.tally = gradient_server, tally
    gradient_server.clock.scale = 0
    # A sequence that fails is shown as it is: making it shorter takes minutes of requests.
    examples = max(50, settings().max_examples // 2)  # with fewer, not every link is met
    Chains.run(settings=settings(max_examples=examples, stateful_step_count=12, phases=[Phase.generate]))
    chains = tally.seen(SUITE, "random chains")
    assert len(chains) >= examples // 2
    followed = {pair for chain in chains for pair in itertools.pairwise(chain)}
    assert followed >= set(itertools.pairwise(IN_ORDER))


@pytest.mark.parametrize("create", ["createExperiment", "runExperiment"])
def test_links_in_every_order(gradient_server, tally, create):
    """From one create, each of the linked steps once, in each of the 120 orders: every answer is a declared one."""
    gradient_server.clock.scale = 0
    orders = list(itertools.permutations(IN_ORDER[1:]))
    for order, body in zip(orders, itertools.cycle(BODIES), strict=False):
        created = call(gradient_server, tally, create, body=body, media_type="application/json")
        for step in order:
            gradient_server.advance(4)
            call(gradient_server, tally, step, **linked(step, created))
        tally.see(SUITE, "chains in order", (create, *order))
    assert len(tally.seen(SUITE, "chains in order")) >= len(orders) == 120


def linked(step, created):
    """Give the parameters of a step that a link takes from the answer to a create."""
    values = {
        name: created.json()[expression.removeprefix("$response.body#/")] for name, expression in LINKS[step].items()
    }
    return {"query": values} if OPERATIONS[step].query.get(next(iter(values))) else {"path_parameters": values}


def call(server, tally, operation_id, **parts):
    case = OPERATIONS[operation_id].Case(headers={KEY_HEADER: server.api_key}, **parts)
    response = case.call_and_validate(**on(server, case.operation))
    record(tally, case, response)
    return response
