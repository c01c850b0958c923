"""A client and a fake server at two addresses, with a validator of requests between them; and their fixtures."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from attrs import field, frozen

from gradient import ExperimentsClient, ProjectsClient
from gradient_ext import client, reader, transport
from judging.answers import as_json
from judging.contract import OPERATIONS, Answer
from judging.methods import call
from judging.requests import EXPERIMENTS_PLACE, PLACES, Judgement, SentRequest, judge, operation_of
from tests.fake_servers import FlakyServer, Request, status

API_KEY = "a-key-of-the-contract-tests"


@frozen
class Wire:
    """Clients of experiments and of projects, a fake server, and the requests between them.

    The server answers with what is in `answers` for an operation, and with the example of the contract where there is
    nothing.
    """

    server: FlakyServer
    answers: dict[str, Answer] = field(factory=dict)
    client: ExperimentsClient = field(init=False)
    projects: ProjectsClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        experiments_url, logs_url = self.server.url + EXPERIMENTS_PLACE, self.server.url + PLACES["logs"]
        # Whatever fails is to be seen at once: tests of the retries have servers of their own.
        impatient = {"max_attempts": 1, "patience": 0.001}
        urls = {"base_url": experiments_url, "logs_url": logs_url, "api_url": self.server.url + PLACES["tags"]}
        client = ExperimentsClient(API_KEY, **urls, **impatient)
        object.__setattr__(self, "client", client)
        projects = ProjectsClient(API_KEY, api_url=self.server.url + PLACES["projects"], max_attempts=1)
        object.__setattr__(self, "projects", projects)
        self.server.otherwise = self._response

    def _response(self, request: Request) -> Callable[[Any], None]:
        operation = operation_of(request.method, request.target)
        if operation is None:
            number, content_type, body = OPERATIONS["getExperiment"].example(404)
        else:
            number, content_type, body = self.answers.get(operation.id) or operation.example(operation.success)
        redirect = {"Location": "http://elsewhere.invalid/"} if 300 <= number < 400 else {}
        return status(number, body, Content_Type=content_type, **redirect)

    def forget(self) -> None:
        """Forget what has been sent."""
        self.server.requests.clear()

    def sent(self) -> list[Judgement]:
        """Return the validated requests since the last call."""
        requests = list(self.server.requests)
        self.forget()
        return [
            judge(SentRequest(method=each.method, target=each.target, headers=dict(each.header_items), raw=each.body))
            for each in requests
        ]


@pytest.fixture(scope="session")
def wire_all_along(shared_flaky) -> Iterator[Wire]:
    wire = Wire(shared_flaky)
    with wire.client, wire.projects:
        yield wire


class SkippedPauses:
    """The time as the client sees it, when its pauses are over the moment they begin."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def monotonic(self) -> float:
        """Return the seconds of the clock, with the skipped ones."""
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Skip the pause."""
        self._skipped += seconds


@pytest.fixture
def wire(wire_all_along, monkeypatch) -> Wire:
    """A client, a server that answers as the contract shows, and a judge of what they say; as new."""
    # What a client pauses for is tested elsewhere; here it would follow thousands of logs, second by second.
    skipped = SkippedPauses()
    for module in (client, reader, transport):
        monkeypatch.setattr(module, "time", skipped)
    wire_all_along.answers.clear()
    wire_all_along.forget()
    return wire_all_along


@pytest.fixture
def answered(wire) -> Callable[[str, str, Answer], object]:
    """Call a method of a client whose server answers an operation in a certain way."""
    # Who follows a log asks for the state in between.
    wire.answers["getExperimentState"] = as_json({"data": {"state": 5}})

    def answered(method: str, operation: str, answer: Answer) -> object:
        wire.answers[operation] = answer
        wire.forget()
        return call(wire.client, wire.projects, method)

    return answered


@pytest.fixture
def share() -> Callable[[int], hypothesis.settings]:
    """Return settings with a share of the usual examples."""
    usual = hypothesis.settings.default.max_examples

    def examples(divisor: int) -> hypothesis.settings:
        return hypothesis.settings(
            max_examples=max(1, usual // divisor),
            # Making a whole answer or body smaller takes minutes, reading it seconds.
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            report_multiple_bugs=False,
        )

    return examples
