"""What is new of an experiment, for a page that knows some of it: its state and the rows that came since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gradient_api.constants import END_OF_LOG, TERMINAL_STATES

from gradient_server.api.responses import ApiResponse, Pending
from gradient_server.dashboard.experiments import Experiments
from gradient_server.dashboard.log_parts import Ends, Row, Rows, last_rows
from gradient_server.dashboard.log_view import (
    MOST_ROWS,
    LogPart,
    lines_at_once,
    rows_html,
    seen_from,
    seen_text,
    which_rows,
)

Look = Callable[[], Awaitable[ApiResponse]]
NOTHING = 204


class News:
    """What is new of experiments.

    :param Experiments experiments: what is known of them
    """

    def __init__(self, experiments: Experiments) -> None:
        self._experiments = experiments

    def log(self, handle: str, after: int | None, since: Ends | None = None) -> LogPart:
        """Give rows of a log: those after a line, or the last ones.

        :param str handle: the experiment
        :param int after: after which line; None: the last ones
        :param since: of the last ones, only those after these lines
        """
        # Before the rows: what has ended then has all of its rows.
        told = self._experiments.state(handle, None)
        is_over = told.status == 200 and told.body["data"]["state"] in TERMINAL_STATES

        def ask(job: str, line: int, limit: int) -> Sequence[Row]:
            return self._experiments.rows_of(handle, job, line, limit)

        ends = self._experiments.ends(handle)
        last = [row for job, end in ends.items() if end for row in ask(job, end - 1, 1)]
        markers = sum(row["message"] == END_OF_LOG for row in last)
        if after is None:
            known = {job: line for job, line in (since or {}).items() if line <= ends.get(job, 0)}
            found = last_rows(ask, ends, known, MOST_ROWS)
        else:
            lines = lines_at_once(ends)
            page = self._experiments.rows(handle, after, lines * len(ends))
            found = Rows([row for row in page if row["line"] <= after + lines], skipped=False)
        return LogPart(
            rows=[row for row in found.rows if row["message"] != END_OF_LOG],
            ends=ends,
            total=sum(ends.values()) - markers,
            after=after,
            skipped=found.skipped,
            is_over=is_over,
        )

    def since(self, handle: str, state: int | None, seen: str | None) -> Look:
        """Look what is new, as often as a long poll wants to know it.

        :param str handle: the experiment
        :param int state: the state that is known
        :param str seen: which rows are known, as `seen_text` writes it; None: rows do not matter
        """
        known = None if seen is None else seen_from(seen)

        async def look() -> ApiResponse:
            told = self._experiments.state(handle, state)
            if told.status != 200:
                return told
            pending = [told.pending]
            is_longer = False
            if known is not None:
                # Before it is seen where the logs end: what comes in between is then still to come, not missed.
                pending.append(self._experiments.log(handle, max(known.values(), default=0), 1).pending)
                is_longer = self._experiments.ends(handle) != known
            if told.body["data"]["state"] != state or is_longer:
                return self._told(handle, None if known is None else self.log(handle, None, known))
            moments = [found.timestamp for found in pending if found]
            if not moments:
                return ApiResponse(200, {"over": True})
            return ApiResponse(NOTHING, pending=Pending(handle, min(moments)))

        return look

    def _told(self, handle: str, log: LogPart | None) -> ApiResponse:
        from gradient_server.dashboard.experiment_view import summary, title_of

        experiment = self._experiments.find(handle)
        if experiment is None:
            return ApiResponse(404, {"error": "It has been deleted"})
        news: dict[str, Any] = {
            "state": experiment.state,
            "title": title_of(experiment),
            "summary": summary(experiment),
        }
        if log:
            jobs = self._experiments.jobs(handle)
            news |= {
                "rows": rows_html(log.rows, jobs),
                "count": len(log.rows),
                "skipped": log.skipped,
                "seen": seen_text(log.ends),
                "which": which_rows(log),
            }
        return ApiResponse(200, news)
