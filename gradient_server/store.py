"""The experiments of the server, in memory."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from random import Random
from typing import Any

from attrs import define, evolve
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.lifecycle import Life
from gradient_server.simulation import ERROR_TEXT, Job, Wish, wish_of

_LETTERS = string.ascii_lowercase + string.digits


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


class Store:
    """All experiments.

    :param Clock clock: what time it is
    :param int seed: what ids follow from
    """

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget everything; the ids begin again."""
        self._random = Random(self._seed)
        self._experiments: dict[str, StoredExperiment] = {}
        self._number = 0

    def add(self, body: dict[str, Any]) -> StoredExperiment:
        """Keep a new experiment.

        :raises WrongWish: what its environment says of the simulation cannot be
        """
        wish = wish_of(body.get("experimentEnv") or {})
        self._number += 1
        experiment = StoredExperiment(
            number=self._number,
            handle=self._new_id("es"),
            body=body,
            created=self._clock.now(),
            jobs=tuple(Job(id=self._new_id("js"), title=title) for title in _nodes(body)),
            wish=wish,
            life=Life(plan=wish.plan),
        )
        self._experiments[experiment.handle] = experiment
        return experiment

    def get(self, handle: str) -> StoredExperiment | None:
        """Find an experiment."""
        return self._experiments.get(handle)

    def newest_first(self) -> list[StoredExperiment]:
        """Give all experiments."""
        return list(reversed(self._experiments.values()))

    def start(self, experiment: StoredExperiment) -> None:
        """Start it now."""
        experiment.life = evolve(experiment.life, started=self._clock.now())

    def stop(self, experiment: StoredExperiment) -> None:
        """Tell it to stop now; being told again changes nothing."""
        if experiment.life.stopped is None:
            experiment.life = evolve(experiment.life, stopped=self._clock.now())

    def delete(self, handle: str) -> None:
        """Forget one experiment."""
        del self._experiments[handle]

    def _new_id(self, prefix: str) -> str:
        return prefix + "".join(self._random.choices(_LETTERS, k=12))


def _nodes(body: dict[str, Any]) -> Iterator[str]:
    """Name the nodes of an experiment: one for each that a `...Count` asks for, or just one."""
    counts = {name.removesuffix("Count"): count for name, count in body.items() if name.endswith("Count")}
    for name, count in counts.items():
        title = re.sub(r"(?=[A-Z])", " ", name).lower()
        yield from (f"{title} {number}" for number in range(1, count + 1))
    if not counts:
        yield "worker"
