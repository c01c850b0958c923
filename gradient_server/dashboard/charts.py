"""The charts of a page: the metrics of a run, or of several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradient_server.metrics.index import RunMetrics
from gradient_server.metrics.series import Columns

Chart = dict[str, Any]
"""A chart as JSON values: `name`, `axis`, and `series` with `name`, `x` and `y`."""
MAX_CHARTS = 8
"""How many charts a page shows."""
MAX_POINTS = 1_000
"""How many points of a series are drawn: about as many as a screen has columns."""
_LARGEST = 1e15
"""The largest number that is charted; floats beyond it are too far apart to draw an axis."""


def charts_of(metrics: RunMetrics) -> list[Chart]:
    """Return the charts of a run, those with most points first.

    Every metric with several points is a chart with a series for each job. Its x-axis is a step where all series have
    the same one and none repeats, otherwise the line in the log. What is no number, or too large to draw, is a gap.
    """
    found: dict[str, dict[str, Columns]] = {}
    totals: dict[str, int] = {}
    for name, job, series in metrics.series():
        found.setdefault(name, {})[job.name] = series.columns(MAX_POINTS)
        totals[name] = totals.get(name, 0) + series.total
    names = sorted((name for name in found if _is_line(found[name])), key=lambda name: -totals[name])
    return [_chart(name, found[name]) for name in names]


def compared(runs: Mapping[str, Sequence[Chart]]) -> list[Chart]:
    """Return charts with the series of several runs, those that most runs have first.

    :param runs: the charts of each run by its name
    """
    merged: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number, (name, charts) in enumerate(runs.items()):
        for chart in charts:
            several = len(chart["series"]) > 1
            merged.setdefault((chart["name"], chart["axis"]), []).extend(
                {**series, "name": f"{name} · {series['name']}" if several else name, "run": number, "node": node}
                for node, series in enumerate(chart["series"])
            )
    shared = sorted(merged.items(), key=lambda item: -len({series["run"] for series in item[1]}))
    return [{"name": name, "axis": axis, "series": series} for (name, axis), series in shared]


def first_charts(charts: Sequence[Chart]) -> dict[str, Any]:
    """Return the charts that a page shows as JSON values, and a note on how many it leaves out."""
    more = len(charts) - MAX_CHARTS
    note = f"{more} more metric{'' if more == 1 else 's'} not shown." if more > 0 else ""
    return {"charts": charts[:MAX_CHARTS], "note": note}


def _is_line(series: dict[str, Columns]) -> bool:
    return any(len(columns.values) > 1 for columns in series.values())


def _chart(name: str, jobs: dict[str, Columns]) -> Chart:
    axes = {columns.axis if columns.is_unique else None for columns in jobs.values()}
    axis = axes.pop() if len(axes) == 1 else None
    return {
        "name": name,
        "axis": axis or next(iter(jobs.values())).source,
        "series": [{"name": job, **_points(columns, has_axis=axis is not None)} for job, columns in jobs.items()],
    }


def _points(columns: Columns, *, has_axis: bool) -> dict[str, list[float | None]]:
    points = zip(columns.steps if has_axis else columns.lines, columns.values, strict=True)
    drawn = [(x, y if abs(y) <= _LARGEST else None) for x, y in points if math.isfinite(x)]
    return {"x": [x for x, _ in drawn], "y": [y for _, y in drawn]}
