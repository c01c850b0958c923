"""The metrics of an experiment as the API shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradient_api.constants import TERMINAL_STATES

from gradient_server.api.responses import ApiResponse, Pending
from gradient_server.clock import Clock
from gradient_server.metrics.index import MetricIndex, RunMetrics
from gradient_server.metrics.rows import Points
from gradient_server.metrics.series import MAX_POINTS, Columns
from gradient_server.metrics.stream import MetricCursor
from gradient_server.runners.base import Job, state_at
from gradient_server.store.records import Experiment

_LARGEST_EXACT = 2**53


async def metrics_response(
    index: MetricIndex, experiment: Experiment, parameters: Mapping[str, Any], clock: Clock
) -> ApiResponse:
    """Return all metrics of an experiment, or those after a cursor; pending while there are none."""
    run, now = experiment.run, clock.now()
    # Before the rows are read: a row that comes in between is then still to come, not missed.
    has_ended = state_at(run.transitions, now) in TERMINAL_STATES
    metrics = await index.read(run)
    names, limit = parameters.get("name"), min(parameters.get("limit", MAX_POINTS), MAX_POINTS)
    shift = clock.date(0.0).timestamp()
    if "after" not in parameters:
        data = [
            _serialize(name, job, series.columns(limit), series.total, shift)
            for name, job, series in metrics.series()
            if names is None or name in names
        ]
        return ApiResponse(200, _body(data, metrics.cursor, is_complete=has_ended))
    start = MetricCursor.parse(parameters["after"])
    page = await index.read_after(metrics, start)
    data = [found for job, points in page.points if (found := _serialize_points(metrics, job, points, names, shift))]
    if data or not page.is_last or has_ended:
        return ApiResponse(200, _body(data, page.cursor, is_complete=page.is_last and has_ended))
    # A log of rows without metrics does not keep the client busy: they are read again with those that follow.
    next_row_at = run.next_row_at(page.line, now)
    pending = None if next_row_at is None else Pending(experiment.handle, next_row_at)
    return ApiResponse(200, _body([], start, is_complete=False), pending=pending)


def _serialize(name: str, job: Job, columns: Columns, total: int, shift: float) -> dict[str, Any]:
    """Return a series as the API shows it.

    :param float shift: the difference between the time since 1970 and that of the server's clock, in seconds
    """
    # As precise as the time of a log row: microseconds, of which the last three digits are cut off.
    half_a_microsecond = 0.0005
    return {
        "name": name,
        "node": job.name,
        "jobId": job.id,
        "axis": columns.axis,
        "total": total,
        "times": [math.floor((time + shift) * 1000 + half_a_microsecond) / 1000 for time in columns.timestamps],
        "steps": _steps(columns.steps) if columns.axis else [None] * len(columns.values),
        "values": [value if math.isfinite(value) else _word(value) for value in columns.values],
    }


def _serialize_points(
    metrics: RunMetrics, job: Job, points: Points, names: Sequence[str] | None, shift: float
) -> dict[str, Any] | None:
    """Return points of a series, if it is one that was asked for."""
    series = metrics.find(points.name, job)
    if series is None or series.source != points.source or (names is not None and points.name not in names):
        return None
    axis = series.axis
    steps = points.steps.get(axis or "", [math.nan] * len(points.values))
    columns = Columns(points.lines, points.timestamps, points.values, axis, steps)
    return _serialize(points.name, job, columns, series.total, shift)


def _body(data: list[dict[str, Any]], cursor: MetricCursor, *, is_complete: bool) -> dict[str, Any]:
    return {"data": data, "cursor": str(cursor), "complete": is_complete, "message": "success"}


def _steps(steps: Sequence[float]) -> list[Any]:
    # Nearly always, all are whole: many are faster together.
    if all(map(float.is_integer, steps)) and max(map(abs, steps), default=0) < _LARGEST_EXACT:
        return list(map(int, steps))
    return list(map(_step, steps))


def _step(step: float) -> float | int | None:
    if not math.isfinite(step):
        return None
    return int(step) if step.is_integer() and abs(step) < _LARGEST_EXACT else step


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
