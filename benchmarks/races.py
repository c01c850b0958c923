"""Races: contenders do the same in turns, A B C A B C, so that other load on the machine hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from benchmarks.figures import Ratio, compared, ratio
from benchmarks.workers import THIS, Worker


@frozen
class Race:
    """The result of a race: the seconds of each round of each contender, by the clock and of the processor."""

    seconds: Mapping[str, list[float]]
    cpu: Mapping[str, list[float]]

    @classmethod
    def of(cls, races: Sequence[Race]) -> Race:
        """Return the rounds of several races of the same contenders as one race."""
        seconds, cpu = (
            {name: [time for found in found_of for time in found[name]] for name in found_of[0]}
            for found_of in ([found.seconds for found in races], [found.cpu for found in races])
        )
        return cls(seconds, cpu)

    def medians(self, unit: float) -> dict[str, float]:
        """Return the median of each contender, in a unit that is given in seconds."""
        return {name: statistics.median(times) / unit for name, times in self.seconds.items()}

    def ratios(self) -> dict[str, Ratio]:
        """Return the ratios of this client to the others, by the clock and in processor time of the caller."""
        kinds = {False: self.seconds, True: self.cpu}
        return {
            compared(other, processor=processor): ratio(times[THIS], times[other])
            for processor, times in kinds.items()
            for other in times
            if other != THIS
        }

    def against(self, other: str) -> float | None:
        """Return how many times as long as another one this client takes; None: the other one did not run."""
        return ratio(self.seconds[THIS], self.seconds[other]).value if other in self.seconds else None

    def faster_than(self, other: str) -> float | None:
        """Return how many times as fast as another one this client is; None: the other one did not run."""
        found = self.against(other)
        return None if found is None else 1 / found


def race(workers: Mapping[str, Worker], what: str, rounds: int, times: int = 1, **given: Any) -> Race:
    """Have all contenders do the same in turns.

    :param str what: what to do
    :param int rounds: how many turns each has
    :param int times: how often to do it in one turn

    :raises RuntimeError: they have not done the same
    """
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    cpu: dict[str, list[float]] = {name: [] for name in workers}
    results = {name: worker.do(what, **given)["result"] for name, worker in workers.items()}
    if len({str(result) for result in results.values()}) != 1:
        raise RuntimeError(f"The contenders do not do the same when told to {what}: {results}")
    for number in range(rounds):
        # Each of them is sometimes the first one.
        order = list(workers)[number % len(workers) :] + list(workers)[: number % len(workers)]
        for name in order:
            told = workers[name].do(what, times, **given)
            seconds[name].append(told["seconds"])
            cpu[name].append(told["cpu"])
    return Race(seconds, cpu)
