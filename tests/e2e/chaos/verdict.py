"""Compares what callers were told with what the server has. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen
from gradient_api.constants import ExperimentState

from gradient import BaseExperiment, ConflictError, GradientSdkError, MultiNodeExperiment
from tests.e2e.chaos.callers import Told


@frozen
class Verdict:
    """What came of it.

    :param wrong: by the kind of what must not be, a sentence for each time that it is
    :param gave_up: the errors of calls that were tried as often as may be; what they were to do is done once or not
        at all, and their callers know that they do not know
    """

    wrong: Mapping[str, Sequence[str]]
    gave_up: Sequence[Exception]

    @property
    def is_right(self) -> bool:
        """Whether everything was done exactly once, and everybody was told the truth."""
        return not any(self.wrong.values())


def verdict(
    told: Sequence[Told], listed: Sequence[BaseExperiment], got: Mapping[str, BaseExperiment | None]
) -> Verdict:
    """Give the verdict.

    :param told: what the callers were told
    :param listed: all experiments, as the server lists them
    :param got: by the handles that callers were told, what the server has under them; None: nothing
    """
    copies = Counter(experiment.name for experiment in listed)
    answered = [(one, one.handle, got.get(one.handle)) for one in told if one.handle]
    errors = [error for one in told for error in one.errors]
    conflicts = [one for one in told if isinstance(one.start_error, ConflictError)]
    refused = [error for error in errors if not may_pass(error)]
    return Verdict(
        wrong={
            "lost": [
                f"{one.name!r}: created as {handle}, and not there"
                for one, handle, found in answered
                if found is None or not copies[one.name]
            ],
            "doubled": [f"{name!r}: there {count} times" for name, count in copies.items() if count > 1],
            "answer of another": [
                f"{one.name!r}: told {handle}, which is {found.name!r}, a {type(found).__name__}"
                for one, handle, found in answered
                if found and not _is_of(one, handle, found)
            ],
            "asked for by nobody": [f"{name!r}" for name in copies.keys() - {one.name for one in told}],
            "not started": [
                f"{one.name!r}: {handle} was started, and is not"
                for one, handle, found in answered
                if one.is_started and found and found.state == ExperimentState.CREATED
            ],
            "started twice": [f"{one.name!r}: {one.start_error}" for one in conflicts],
            "refused": [f"{type(error).__name__}: {error}" for error in _without(refused, conflicts)],
        },
        gave_up=[error for error in errors if may_pass(error)],
    )


def may_pass(error: Exception) -> bool:
    """Say whether an error is one with which a call may give up."""
    return isinstance(error, GradientSdkError) and error.retryable


def _is_of(told: Told, handle: str, found: BaseExperiment) -> bool:
    is_multi_node = isinstance(found, MultiNodeExperiment)
    return (found.id, found.name, is_multi_node) == (handle, told.name, told.is_multi_node)


def _without(errors: Iterable[Exception], conflicts: Iterable[Told]) -> list[Exception]:
    known = [one.start_error for one in conflicts]
    return [error for error in errors if not any(error is other for other in known)]
