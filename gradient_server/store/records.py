"""The records of a store, and the changes to them."""

from __future__ import annotations

from typing import Any

from attrs import define, frozen

from gradient_server.runners.base import Run

RETENTION = 24 * 60 * 60.0
"""How long a stored response is kept at least, in real seconds."""


@define(kw_only=True)
class Experiment:
    """An experiment on the server.

    :param int number: counts from 1; no number is used twice
    :param body: the request that created it, by the names of the contract; commands are text
    :param float created: when it was created
    :param float started: when the server was asked to start it; None: never
    :param float stopped: when the server was asked to stop it; None: never
    :param Run run: its state and its log
    """

    number: int
    handle: str
    body: dict[str, Any]
    created: float
    started: float | None = None
    stopped: float | None = None
    run: Run


@frozen(kw_only=True)
class StoredResponse:
    """The response to the first request with an idempotency key.

    :param bytes request: the fingerprint of the request
    :param str body: the response body, as JSON
    :param float timestamp: when it was sent, in real seconds since 1970
    """

    request: bytes
    status: int
    body: str
    timestamp: float

    def is_expired(self, now: float) -> bool:
        """Whether it has been kept for long enough."""
        # Also if the clock was ahead when it was sent.
        return abs(now - self.timestamp) > RETENTION


@frozen(kw_only=True)
class Project:
    """A project that was created.

    :param int number: counts from 1; no number is used twice
    :param body: the request that created it, by the names of the contract
    :param float created: when it was created
    :param float deleted: when it was deleted; None: never
    """

    number: int
    handle: str
    body: dict[str, Any]
    created: float
    deleted: float | None = None


@frozen
class Created:
    """A new experiment; one with a `started` timestamp is started."""

    experiment: Experiment


@frozen
class Updated:
    """An experiment has another body."""

    experiment: Experiment
    body: dict[str, Any]


@frozen
class Started:
    """An experiment is started."""

    experiment: Experiment
    timestamp: float


@frozen
class Stopped:
    """An experiment is stopped."""

    experiment: Experiment
    timestamp: float


@frozen
class Deleted:
    """An experiment is deleted."""

    experiment: Experiment


@frozen
class Responded:
    """A request with an idempotency key has a response; the keys in `expired` are dropped."""

    key: bytes
    response: StoredResponse
    expired: tuple[bytes, ...]


@frozen
class ProjectChanged:
    """A project is new, or has changed."""

    project: Project


Change = Created | Updated | Started | Stopped | Deleted | Responded | ProjectChanged
