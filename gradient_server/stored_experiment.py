"""An experiment as the server has it: what was given and what has happened, and all that follows from that."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from attrs import define
from gradient_api.constants import ExperimentState as State

from gradient_server.lifecycle import Life
from gradient_server.simulation import ERROR_TEXT, Job, Wish, wish_of


@define(kw_only=True)
class StoredExperiment:
    """An experiment, its parameters, and what has happened to it."""

    number: int
    handle: str
    body: dict[str, Any]
    created: float
    jobs: tuple[Job, ...]
    wish: Wish
    life: Life

    def error(self, now: float) -> str | None:
        """Say what went wrong, if it has."""
        return ERROR_TEXT if self.life.state(now) == State.ERROR else None


def stored_experiment(
    *,
    number: int,
    handle: str,
    body: dict[str, Any],
    created: float,
    started: float | None = None,
    stopped: float | None = None,
) -> StoredExperiment:
    """Put an experiment together from what is known of it. Its jobs follow from its handle and its parameters.

    :raises WrongWish: what its environment says of the simulation cannot be
    """
    wish = wish_of(body.get("experimentEnv") or {})
    return StoredExperiment(
        number=number,
        handle=handle,
        body=body,
        created=created,
        jobs=tuple(Job(id=_id("js", f"{handle} {title}"), title=title) for title in _nodes(body)),
        wish=wish,
        life=Life(plan=wish.plan, started=started, stopped=stopped),
    )


def new_handle(seed: int, number: int) -> str:
    """Give the handle of the experiment with a number; it follows from the seed."""
    return _id("es", f"{seed} {number}")


def _id(prefix: str, source: str) -> str:
    """Make an id such as the service had them; the same source has the same id."""
    return prefix + b32encode(sha256(source.encode()).digest())[:12].decode().lower()


def _nodes(body: dict[str, Any]) -> Iterator[str]:
    """Name the nodes of an experiment: one for each that a `...Count` asks for, or just one."""
    counts = {name.removesuffix("Count"): count for name, count in body.items() if name.endswith("Count")}
    for name, count in counts.items():
        title = re.sub(r"(?=[A-Z])", " ", name).lower()
        yield from (f"{title} {number}" for number in range(1, count + 1))
    if not counts:
        yield "worker"
