"""What the jobs of a simulated run print. Rows are functions of the job and the line: no log takes memory."""

from __future__ import annotations

import math
import zlib

from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import Job, LogRow
from gradient_server.runners.simulated.lifecycle import Life
from gradient_server.runners.simulated.wish import Wish


class Log:
    """What each job of a run prints: rows, evenly over the time that its command is meant to run, and an end marker.

    The marker comes when the run has ended as a whole: who has followed a log to its end finds the outcome.

    :param Wish wish: what the run is to be like
    :param Life life: what has happened to it
    """

    def __init__(self, wish: Wish, life: Life) -> None:
        self._wish = wish
        self._span = life.running
        if self._span is not None:
            begin, end = self._span
            self._ended = life.transitions[-1][0]
            planned = Life(plan=wish.plan, started=life.started).running
            assert planned is not None
            self._pause = (planned[1] - begin) / (wish.rows + 1)
            self._printed = wish.rows if end >= planned[1] else self._printed_until(end)

    def visible(self, now: float) -> int:
        """Say how many rows each job has printed, the end marker included."""
        if self._span is None or now < self._span[0]:
            return 0
        return self._printed + 1 if now >= self._ended else min(self._printed, self._printed_until(now))

    def appears(self, line: int) -> float:
        """Say from which moment on a line is visible; infinity: it never is."""
        if self._span is None or line > self._printed + 1:
            return math.inf
        moment = self._moment(line)
        while self.visible(moment) < line:  # by rounding, and then at the next number or the one after it
            moment = math.nextafter(moment, math.inf)
        return moment

    def row(self, job: Job, line: int) -> LogRow:
        """Give a row of a job, one that is visible."""
        message = END_OF_LOG if line > self._printed else _message(self._wish, job, line)
        return LogRow(line, self._moment(line), message)

    def _moment(self, line: int) -> float:
        assert self._span is not None
        begin, end = self._span
        # Rounding must not put a row behind the end.
        return self._ended if line > self._printed else min(begin + self._pause * line, end)

    def _printed_until(self, moment: float) -> int:
        assert self._span is not None
        return min(self._wish.rows, int((moment - self._span[0]) / self._pause)) if self._pause else self._wish.rows


def _message(wish: Wish, job: Job, line: int) -> str:
    if line == wish.rows and wish.plan.outcome == State.FAILED:
        return f"{job.name}: the command ended with exit code 1 (simulated)"
    share = line / wish.rows
    # As good as random, the same whenever the row is asked for, and quick: there may be millions of them.
    noise = zlib.crc32(f"{job.id} {line}".encode()) / 2**32
    loss = 2.3 * math.exp(-3 * share) + 0.03 + 0.04 * noise
    return f"{job.name}: step {line}/{wish.rows}  loss {loss:.4f}  accuracy {1 - loss / 2.6:.3f}"
