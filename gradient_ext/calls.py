"""One logical call of an operation: what is sent each time it is tried, and what the answers mean. No I/O."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Generic, NoReturn, TypeVar

from attrs import field, frozen
from gradient_api.operations import Operation

from gradient_ext.errors import MalformedResponseError, details_of, error_class, words_of
from gradient_ext.redaction import escape_control_characters
from gradient_ext.retrying import read_date, retry_after_seconds

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


@frozen(kw_only=True)
class Call(Generic[Answer_co]):
    """One logical call. What is sent does not show in its repr: a body may hold passwords.

    :param Operation operation: what to call
    :param str action: what has failed if it fails, for the error
    :param sent: method, url, headers, params and json of the request
    :param float wait: for how many seconds the server may hold the request open
    :param secrets: what of it nobody may see, should the server repeat it
    :param meaning: what makes the answer out of what the operation reads
    :param malformed: what is raised where the answer is a success, but not as the contract says
    """

    operation: Operation[Any]
    action: str
    sent: Mapping[str, Any] = field(repr=False)
    wait: float = 0.0
    secrets: tuple[str, ...] = field(default=(), repr=False)
    meaning: Callable[[Any], Answer_co] = field(repr=False)
    malformed: type[MalformedResponseError] = MalformedResponseError

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.sent["method"]).upper()


@frozen(kw_only=True)
class Reply:
    """An answer, read to its end; the generated code decodes it as it would a response of httpx."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.content)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")


def call_of(
    operation: Operation[Any],
    action: str,
    *path: str,
    meaning: Callable[[Any], Answer],
    wait: float = 0.0,
    secrets: tuple[str, ...] = (),
    malformed: type[MalformedResponseError] = MalformedResponseError,
    **given: Any,
) -> Call[Answer]:
    """Prepare a call. Every call that changes something gets a key of its own, the same for all its attempts.

    :param Operation operation: what to call
    :param str action: what has failed if it fails, for the error
    :param meaning: what makes the answer out of what the operation reads
    :param float wait: for how many seconds the server may hold the request open, where the operation can do that
    :param secrets: what of it nobody may see, should the server repeat it
    :param malformed: what is raised where the answer is a success, but not as the contract says
    """
    if operation.takes_idempotency_key:
        given["idempotency_key"] = str(uuid.uuid4())
    if wait and operation.can_wait:
        given["wait"] = wait
    return Call(
        operation=operation,
        action=action,
        sent=operation.request(*path, **given),
        wait=wait,
        secrets=secrets,
        meaning=meaning,
        malformed=malformed,
    )


def answer_to(call: Call[Answer], reply: Reply, url: str, discreetly: Callable[[str], str]) -> Answer:
    """Say what an answer means.

    :param Call call: what was called
    :param Reply reply: the answer
    :param str url: where the request went, without secrets
    :param discreetly: takes out of a text what nobody may see, should the answer repeat it

    :raises ResourceFetchingError: it is an error
    :raises MalformedResponseError: it is a success, but not as the contract says
    """
    if not 200 <= reply.status_code < 300:
        _refuse(call, reply, url)
    retryable = False
    try:
        answer = call.operation.read(reply)
        # None is also what is read where the contract does not know the status.
        is_unknown = answer is None and reply.content and call.method == "GET"
        if isinstance(answer, call.operation.answer) and not is_unknown:
            return call.meaning(answer)
        problem = f"status {reply.status_code} with a body of {len(reply.content)} bytes"
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        retryable, problem = True, f"its body is no JSON: {error!s:.100}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Raised where an answer lacks a member, or has another type.
        text = str(error) if isinstance(error, ValueError) else repr(error)
        problem = f"{escape_control_characters(discreetly(text)):.200}"
    # Out here, so that the error does not carry the frames of the decoders along, with all that was in the answer.
    answer = None
    text = f"{call.action}: the answer is not as the contract says; {problem}"
    raise call.malformed(text, call.method, url, retryable=retryable)


def nothing(answer: object) -> None:
    """Leave alone what an answer says, beyond that it was done."""


def _refuse(call: Call[Any], reply: Reply, url: str) -> NoReturn:
    words = words_of(reply.content)
    if 300 <= reply.status_code < 400 and "Location" in reply.headers:
        target = reply.headers["Location"]
        leads = target.partition("?")[0].removesuffix(call.sent["url"])
        words = (
            escape_control_characters(f"the server redirects to {target}; give the client the address {leads}"),
            *words,
        )
    raise error_class(reply.status_code)(
        call.action,
        status=reply.status_code,
        method=call.method,
        url=url,
        words=words,
        details=details_of(reply.content),
        request_id=reply.headers.get("X-Request-Id"),
        # By the clock of the server, as far as it tells: ours may be wrong.
        retry_after=retry_after_seconds(reply.headers.get("Retry-After"), read_date(reply.headers.get("Date"))),
    )
