"""What can change in a store. A change is decided first, then written to the file if there is one, and counts then."""

from __future__ import annotations

from attrs import frozen

from gradient_server.api.idempotency import FirstAnswer
from gradient_server.store.stored_experiment import StoredExperiment


@frozen
class Added:
    """There is a new experiment; where it has a moment at which it was started, it starts."""

    experiment: StoredExperiment


@frozen
class Started:
    """An experiment is started."""

    experiment: StoredExperiment
    moment: float


@frozen
class Stopped:
    """An experiment is told to stop."""

    experiment: StoredExperiment
    moment: float


@frozen
class Deleted:
    """An experiment is forgotten."""

    experiment: StoredExperiment


@frozen
class Answered:
    """A key has its first answer, and some keys have been kept for long enough."""

    name: bytes
    first: FirstAnswer
    over: tuple[bytes, ...]


Change = Added | Started | Stopped | Deleted | Answered
