"""How an experiment ends, as the exits of its nodes say. Pure."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from attrs import frozen
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.nodes import Node

_SHELL_SIGNAL = 128
"""What a shell adds to the number of the signal that has ended its command."""


@frozen
class Outcome:
    """The end of an experiment.

    :param int state: the state that it comes to
    :param str error: what went wrong, in words
    """

    state: int
    error: str | None = None


def outcome_of(nodes: Sequence[Node], exits: Mapping[str, int]) -> Outcome | None:
    """Say how it ends, or None: not yet.

    :param exits: of the nodes that have ended, by their titles, in the order in which they have; negative: by a signal
    """
    for title, status in exits.items():
        if status:
            return Outcome(State.FAILED, _failure(title if len(nodes) > 1 else "", status))
    if all(node.name in exits for node in nodes if node.leads):
        return Outcome(State.STOPPED)
    return None


def _failure(title: str, status: int) -> str:
    who = f"The command of {title}" if title else "The command"
    if status < 0:
        return f"{who} was ended by the signal {_named(-status)}"
    # The shell says it like this when it has waited for the command, and not become it.
    by_signal = _named(status - _SHELL_SIGNAL) if status > _SHELL_SIGNAL else ""
    hint = f" ({by_signal})" if by_signal.startswith("SIG") else " (command not found)" if status == 127 else ""
    return f"{who} ended with exit code {status}{hint}"


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
