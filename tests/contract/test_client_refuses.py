"""The client against the contract, not sending: what the contract does not allow is named, and stays here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging.contract import OPERATIONS, members
from judging.keywords import MISSING, everything, given_keywords, mistakes, wrong_values
from judging.methods import ADDED_BY_THE_CLIENT, CREATES, LISTS, NAMES_ONE, READS_LOGS, WAITS

from gradient import InvalidParametersError

SUITE = "client, sending"
ONE_PROJECT = {"type": "string", "minLength": 1}
ARGUMENTS = {"handle": "experiment_id", "experimentId": "experiment_id", "projectHandle": "project_id"}


@pytest.fixture
def refused(wire, tally):
    """Call a method with keywords, some of which are wrong, and see that exactly these are named."""

    def call(method, keywords, wrong):
        given_ones = {name: value for name, value in {**keywords, **wrong}.items() if value is not MISSING}
        with pytest.raises(InvalidParametersError) as caught:
            getattr(wire.client, method)(**given_ones)
        assert {problem.partition(":")[0] for problem in caught.value.problems} == set(wrong)
        assert wire.server.requests == []
        tally.count(SUITE, "calls refused")
        for name in wrong:
            tally.see(SUITE, "arguments refused", name)

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


@pytest.mark.parametrize("method", [*NAMES_ONE, *READS_LOGS, *LISTS, *WAITS])
def test_other_arguments(refused, method):
    """What the contract does not allow for a parameter is refused before the call."""
    operation = OPERATIONS[(NAMES_ONE | READS_LOGS | LISTS | WAITS)[method][-1]]
    right = {} if method in LISTS else {"experiment_id": "es1"}
    for parameter in operation.parameters:
        if parameter["name"] in ADDED_BY_THE_CLIENT:
            continue
        name = ARGUMENTS.get(parameter["name"], parameter["name"])
        if method == "iter_experiments":
            if name == "offset":
                continue  # It goes through everything.
            name = {"limit": "page_size"}.get(name, name)
        many = parameter["schema"]["type"] == "object"
        schema = {"anyOf": [ONE_PROJECT, {"type": "array", "items": ONE_PROJECT}]} if many else parameter["schema"]
        for wrong in wrong_values(schema):
            refused(method, right, {name: wrong})
