"""What the page shows of experiments and their logs, read from the operations that clients call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from gradient_server.answers import Answer
from gradient_server.operations import Operations
from gradient_server.page.curves import Curve, Numbers, curves_of
from gradient_server.page.log_ends import Row, ends_of, samples
from gradient_server.page.log_numbers import numbers_in
from gradient_server.store import Store

if TYPE_CHECKING:
    from gradient_ext.experiments import BaseExperiment

MOST_READ = 4_000
"""How many rows are read for curves; of longer logs, parts that are evenly spread."""
READ_AT_ONCE = 20


@frozen
class Curves:
    """The curves of a log.

    :param curves: the curves
    :param int read: in how many rows they were looked for
    :param int total: how many rows there are
    """

    curves: Sequence[Curve]
    read: int
    total: int


class Experiments:
    """All experiments.

    :param Store store: knows the jobs of experiments
    :param Operations operations: know everything else
    """

    def __init__(self, store: Store, operations: Operations) -> None:
        self._store = store
        self._operations = operations

    def page(self, offset: int, limit: int) -> tuple[list[BaseExperiment], int]:
        """Give some experiments, the newest first, and say how many there are."""
        body = self._operations.list_experiments({"offset": offset, "limit": limit}, {}).body
        return [_experiment(described) for described in body["data"]], body["meta"]["totalItems"]

    def find(self, handle: str) -> BaseExperiment | None:
        """Find an experiment."""
        answer = self._operations.get_experiment({"handle": handle}, {})
        return _experiment(answer.body["data"]) if answer.status == 200 else None

    def jobs(self, handle: str) -> dict[str, str]:
        """Give the jobs of an experiment, and what they are called."""
        found = self._store.get(handle)
        return {job.id: job.title for job in found.run.jobs} if found else {}

    def state(self, handle: str, known: int | None) -> Answer:
        """Tell the state of an experiment, as those get to hear it who know one already."""
        return self._operations.get_experiment_state(
            {"handle": handle, **({} if known is None else {"known": known})}, {}
        )

    def log(self, handle: str, line: int, limit: int) -> Answer:
        """Give rows after a line, as clients get them."""
        return self._operations.get_logs({"experimentId": handle, "line": line, "limit": limit}, {})

    def rows(self, handle: str, line: int, limit: int) -> Sequence[Row]:
        """Give rows after a line; none where there is nothing."""
        answer = self.log(handle, line, limit)
        return answer.body if answer.status == 200 else []

    async def curves(self, handle: str) -> Curves:
        """Find the curves of a log, and let others have their turn in between."""
        jobs = self.jobs(handle)
        ends = ends_of(lambda line, limit: self.rows(handle, line, limit), list(jobs))
        found: list[Numbers] = []
        read = 0
        for line, lines in samples(max(ends.values(), default=0), max(1, len(jobs)), MOST_READ, READ_AT_ONCE):
            for row in self.rows(handle, line, lines * len(jobs)):
                if row["line"] <= line + lines:
                    found.append((row["jobId"], row["line"], numbers_in(row["message"])))
            read += sum(min(lines, max(0, end - line)) for end in ends.values())
            await asyncio.sleep(0)
        return Curves(curves_of(found), read, sum(ends.values()))


def _experiment(described: Mapping[str, Any]) -> BaseExperiment:
    # Not before somebody looks: it takes longer to load than the rest of the server.
    from gradient_ext.experiments import experiment_from

    return experiment_from(described)
