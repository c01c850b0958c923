"""The charts of a page: the metrics of a run that have most points."""

from __future__ import annotations

import math
from typing import Any

from gradient_server.metrics.index import RunMetrics
from gradient_server.metrics.series import Columns

MAX_CHARTS = 8
MAX_POINTS = 1_000
"""How many points of a series are drawn: about as many as a screen has columns."""
_LARGEST = 1e15
"""The largest number that is charted; floats beyond it are too far apart to draw an axis."""


def charts_of(metrics: RunMetrics) -> tuple[list[dict[str, Any]], str]:
    """Return the charts of a run as JSON values, those with most points first, and a note on what they leave out.

    Every metric with several points is a chart with a series for each job. Its x-axis is a step where all series have
    the same one, otherwise the line in the log. A value that is no number, or too large to draw, is a gap.
    """
    found: dict[str, dict[str, Columns]] = {}
    totals: dict[str, int] = {}
    for name, job, series in metrics.series():
        found.setdefault(name, {})[job.name] = series.columns(MAX_POINTS)
        totals[name] = totals.get(name, 0) + series.total
    names = sorted((name for name in found if _is_line(found[name])), key=lambda name: -totals[name])
    charts = [_chart(name, found[name]) for name in names[:MAX_CHARTS]]
    return charts, more_metrics(len(names) - len(charts))


def more_metrics(count: int) -> str:
    """Return a note on metrics that have no chart."""
    return f"{count} more metric{'' if count == 1 else 's'} not shown." if count else ""


def _is_line(series: dict[str, Columns]) -> bool:
    return any(len(columns.values) > 1 for columns in series.values())


def _chart(name: str, jobs: dict[str, Columns]) -> dict[str, Any]:
    axes = {columns.axis for columns in jobs.values()}
    axis = axes.pop() if len(axes) == 1 else None
    return {
        "name": name,
        "axis": axis or "line",
        "series": [{"name": job, **_points(columns, has_axis=axis is not None)} for job, columns in jobs.items()],
    }


def _points(columns: Columns, *, has_axis: bool) -> dict[str, list[float | None]]:
    points = zip(columns.steps if has_axis else columns.lines, columns.values, strict=True)
    drawn = [(x, y if abs(y) <= _LARGEST else None) for x, y in points if math.isfinite(x)]
    return {"x": [x for x, _ in drawn], "y": [y for _, y in drawn]}
