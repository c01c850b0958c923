"""What can change in a store. A change is decided first, then written to the file if there is one, and counts then."""

from __future__ import annotations

from attrs import frozen

from gradient_server.idempotency import FirstAnswer
from gradient_server.lifecycle import Life
from gradient_server.stored_experiment import StoredExperiment


@frozen
class Added:
    """There is a new experiment."""

    experiment: StoredExperiment


@frozen
class Lived:
    """Something has happened to an experiment: this is its life now."""

    experiment: StoredExperiment
    life: Life


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


Change = Added | Lived | Deleted | Answered
