"""Fixtures of the contract tests of the client: a judged wire, and answers that are counted."""

import time
from collections.abc import Callable, Iterator

import hypothesis
import pytest

from gradient_ext import transport
from judging.answers import as_json
from judging.methods import call
from judging.wire import Answer, Wire

RECEIVING = "client, receiving"


@pytest.fixture(scope="session")
def wire_all_along(scripted_all_along) -> Iterator[Wire]:
    wire = Wire(scripted_all_along)
    with wire.client:
        yield wire


class SkippedPauses:
    """The time as the client sees it, when its pauses are over the moment they begin."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def monotonic(self) -> float:
        """Say what time it is."""
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Be there already."""
        self._skipped += seconds


@pytest.fixture
def wire(wire_all_along, monkeypatch) -> Wire:
    """A client, a server that answers as the contract shows, and a judge of what they say; as new."""
    # What a client pauses for is tested elsewhere; here it would follow thousands of logs, second by second.
    monkeypatch.setattr(transport, "time", SkippedPauses())
    wire_all_along.answers.clear()
    wire_all_along.forget()
    return wire_all_along


@pytest.fixture
def answered(wire, tally) -> Callable[[str, str, str, Answer], object]:
    """Call a method of a client whose server answers an operation in a certain way, and count it as what it is."""
    # Who follows a log asks for the state in between.
    wire.answers["getExperimentState"] = as_json({"data": {"state": 5}})

    def answered(what: str, method: str, operation: str, answer: Answer) -> object:
        wire.answers[operation] = answer
        wire.forget()
        tally.count(RECEIVING, what)
        tally.see(RECEIVING, "operations", operation)
        tally.see(RECEIVING, "pairs of operation and status", (operation, answer[0]))
        return call(wire.client, method)

    return answered


@pytest.fixture
def share() -> Callable[[int], hypothesis.settings]:
    """Take a share of the usual examples."""
    usual = hypothesis.settings.default.max_examples

    def examples(divisor: int) -> hypothesis.settings:
        return hypothesis.settings(
            max_examples=max(1, usual // divisor),
            # Making a whole answer or body smaller takes minutes, reading it seconds.
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            report_multiple_bugs=False,
        )

    return examples
