"""The verdict can be a bad one: each thing that must not be is noticed, and nothing else."""

import pytest
from gradient_api.constants import ExperimentState

from gradient import ConflictError, MultiNodeExperiment, NotFoundError, RequestFailedError, SingleNodeExperiment
from tests.e2e.chaos.callers import Told
from tests.e2e.chaos.verdict import verdict

ANSWER = {"method": "PUT", "url": "http://localhost/"}


def single(handle, name, state=ExperimentState.RUNNING):
    return SingleNodeExperiment(id=handle, name=name, state=state, experiment_type_id=1)


def told(name, handle=None, **further):
    return Told(name, False, handle, is_started=handle is not None, **further)


def kinds_of(told, listed, got=None):
    found = verdict(told, listed, {one.id: one for one in listed} if got is None else got)
    return {kind: len(sentences) for kind, sentences in found.wrong.items() if sentences}


A, B = single("es1", "a"), single("es2", "b")
RIGHT = [told("a", "es1"), told("b", "es2")]


def test_all_is_right():
    """There is what callers were told."""
    assert verdict(RIGHT, [A, B], {"es1": A, "es2": B}).is_right


@pytest.mark.parametrize(
    ("said", "listed", "got", "wrong"),
    [
        (RIGHT, [A], {"es1": A, "es2": None}, {"lost": 1}),
        (RIGHT, [A], {"es1": A, "es2": B}, {"lost": 1}),
        (RIGHT, [A, B], {"es1": A, "es2": None}, {"lost": 1}),
        (RIGHT, [A, B, single("es3", "b")], None, {"doubled": 1}),
        (RIGHT, [A, B, single("es3", "c")], None, {"asked for by nobody": 1}),
        ([told("a", "es2"), told("b", "es1")], [A, B], None, {"answer of another": 2}),
        ([told("a", "es1"), told("b", "es1")], [A, B], None, {"answer of another": 1}),
        (RIGHT, [A, B], {"es1": A, "es2": A}, {"answer of another": 1}),
        (RIGHT, [A, single("es2", "b", ExperimentState.CREATED)], None, {"not started": 1}),
        ([Told("a", True, "es1")], [A], None, {"answer of another": 1}),
    ],
)
def test_what_is_wrong(said, listed, got, wrong):
    """It is counted as what it is."""
    assert kinds_of(said, listed, got) == wrong


def test_a_multi_node_experiment():
    """The kind counts, too."""
    found = MultiNodeExperiment(id="es1", name="a", state=ExperimentState.RUNNING, experiment_type_id=2)
    assert kinds_of([Told("a", True, "es1", is_started=True)], [found]) == {}
    assert kinds_of([told("a", "es1")], [found]) == {"answer of another": 1}


def test_errors():
    """A start that is in conflict was done twice; other errors are wrong unless the call may have been lucky later."""
    conflict = ConflictError("Failed to start experiment", status=409, **ANSWER)
    missing = NotFoundError("Failed to start experiment", status=404, **ANSWER)
    broken = RequestFailedError("Failed to create resource: no answer", **ANSWER)
    assert kinds_of([told("a", "es1", start_error=conflict)], [A]) == {"started twice": 1}
    assert kinds_of([told("a", "es1", start_error=missing)], [A]) == {"refused": 1}
    assert kinds_of([told("a", create_error=conflict)], []) == {"refused": 1}
    assert kinds_of([told("a", create_error=KeyError("a"))], []) == {"refused": 1}
    for there in ([], [A]):
        found = verdict([told("a", create_error=broken)], there, {})
        assert found.is_right
        assert found.gave_up == [broken]
    assert kinds_of([told("a", create_error=broken)], [A, single("es3", "a")]) == {"doubled": 1}
