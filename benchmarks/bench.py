"""What each row of the benchmark is given: how often to do things, and with which contenders."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen


@frozen
class Bench:
    """How to measure.

    :param float effort: how many of the rounds to do that each row thinks it needs; 1: all
    :param interpreters: the Pythons of contenders that do not run with this one; None: they cannot be had
    """

    effort: float
    interpreters: Mapping[str, str | None]

    def rounds(self, usual: int) -> int:
        """Say how many rounds to do where so many are usual; one at least."""
        return max(1, round(usual * self.effort))

    def size(self, usual: int) -> int:
        """Say how large something should be, where less effort also means less of it."""
        return usual if self.effort >= 1 else max(10, round(usual * self.effort))
