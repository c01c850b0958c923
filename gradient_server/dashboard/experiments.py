"""What the page shows of experiments and their logs, read from the operations that clients call, and from runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from gradient_server.api.descriptions import log_row
from gradient_server.api.operations import Operations
from gradient_server.api.responses import ApiResponse
from gradient_server.clock import Clock
from gradient_server.dashboard.curves import Curve, Numbers, curves_of
from gradient_server.dashboard.log_numbers import numbers_in
from gradient_server.dashboard.log_parts import Row, samples
from gradient_server.store.store import Store

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

    :param Store store: knows the jobs of experiments, and the logs of each
    :param Operations operations: know everything else
    :param Clock clock: what time it is
    """

    def __init__(self, store: Store, operations: Operations, clock: Clock) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock

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
        return {job.id: job.name for job in found.run.jobs} if found else {}

    def state(self, handle: str, known: int | None) -> ApiResponse:
        """Tell the state of an experiment, as those get to hear it who know one already."""
        return self._operations.get_experiment_state(
            {"handle": handle, **({} if known is None else {"known": known})}, {}
        )

    def log(self, handle: str, line: int, limit: int) -> ApiResponse:
        """Give rows after a line, as clients get them."""
        return self._operations.get_logs({"experimentId": handle, "line": line, "limit": limit}, {})

    def rows(self, handle: str, line: int, limit: int) -> Sequence[Row]:
        """Give rows after a line; none where there is nothing."""
        answer = self.log(handle, line, limit)
        return answer.body if answer.status == 200 else []

    def ends(self, handle: str) -> dict[str, int]:
        """Say the last line of each job, the marker that ends a log included; 0: it has none yet."""
        found = self._store.get(handle)
        return {job.id: line for job, line in found.run.last_lines(self._clock.now()).items()} if found else {}

    def rows_of(self, handle: str, job: str, line: int, limit: int) -> Sequence[Row]:
        """Give rows of one job after a line; none where there is nothing."""
        found = self._store.get(handle)
        if found is None:
            return []
        run, now = found.run, self._clock.now()
        asked = (other for other in run.jobs if other.id == job)
        return [
            log_row(printer, row, self._clock) for printer in asked for row in run.job_rows(printer, line, limit, now)
        ]

    async def curves(self, handle: str) -> Curves:
        """Find the curves of a log, and let others have their turn in between."""
        ends = self.ends(handle)
        found: list[Numbers] = []
        read = 0
        for line, lines in samples(max(ends.values(), default=0), max(1, len(ends)), MOST_READ, READ_AT_ONCE):
            for row in self.rows(handle, line, lines * len(ends)):
                if row["line"] <= line + lines:
                    found.append((row["jobId"], row["line"], numbers_in(row["message"])))
            read += sum(min(lines, max(0, end - line)) for end in ends.values())
            await asyncio.sleep(0)
        return Curves(curves_of(found), read, sum(ends.values()))


def _experiment(described: Mapping[str, Any]) -> BaseExperiment:
    # Not before somebody looks: it takes longer to load than the rest of the server.
    from gradient_ext.experiments import experiment_from

    return experiment_from(described)
