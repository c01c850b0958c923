"""The settings of a run of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen


@frozen
class Bench:
    """How to measure.

    :param float effort: share of the usual rounds; 1: all of them
    :param interpreters: the Pythons of contenders that need another one; None: it cannot be installed
    """

    effort: float
    interpreters: Mapping[str, str | None]

    def rounds(self, usual: int) -> int:
        """Return how many rounds to run; at least one."""
        return max(1, round(usual * self.effort))

    def size(self, usual: int) -> int:
        """Return how large something should be: smaller with less effort."""
        return usual if self.effort >= 1 else max(10, round(usual * self.effort))
