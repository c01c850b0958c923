"""A client and a server at two addresses that is a script, with a judge between them."""

from typing import Any

from attrs import field, frozen

from gradient import ExperimentsClient
from judging.contract import OPERATIONS
from judging.requests import EXPERIMENTS_PLACE, LOGS_PLACE, Judgement, SentRequest, judge, operation_of

API_KEY = "a-key-of-the-contract-tests"
Answer = tuple[int, str, bytes]


@frozen
class Wire:
    """What a client and a scripted server say to each other.

    The server answers with what is in `answers` for an operation, and with the example of the contract where there is
    nothing.
    """

    server: Any
    answers: dict[str, Answer] = field(factory=dict)
    client: ExperimentsClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        experiments_url, logs_url = self.server.url + EXPERIMENTS_PLACE, self.server.url + LOGS_PLACE
        # Whatever fails is to be seen at once: tests of the retries have servers of their own.
        impatient = {"max_attempts": 1, "patience": 0.001}
        client = ExperimentsClient(API_KEY, base_url=experiments_url, logs_url=logs_url, **impatient)
        object.__setattr__(self, "client", client)
        self.server.otherwise = self._answer

    def _answer(self, method: str, target: str) -> Answer:
        operation = operation_of(method, target)
        if operation is None:
            return OPERATIONS["getExperiment"].example(404)
        return self.answers.get(operation.id) or operation.example(operation.success)

    def forget(self) -> None:
        """Forget what has been sent."""
        self.server.requests.clear()
        self.server.headers.clear()

    def sent(self) -> list[Judgement]:
        """Judge what has been sent, and forget it."""
        recorded = list(zip(self.server.requests, self.server.headers, strict=True))
        self.forget()
        return [
            judge(SentRequest(method=method, target=target, headers=headers, raw=raw))
            for (method, target, raw), headers in recorded
        ]
