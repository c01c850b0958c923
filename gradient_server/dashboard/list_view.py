"""The page with all experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradient_server.dashboard.frame import framed
from gradient_server.dashboard.markup import Child, Html, tag
from gradient_server.dashboard.tables import plain, table_html
from gradient_server.dashboard.times import seconds_between, time_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradient_ext.experiments import BaseExperiment
    from gradient_ext.tables import Cell, Column, Table

AT_ONCE = 100
"""How many experiments are on a page."""
RELOAD_SECONDS = 5
EXPERIMENT = "/page/experiments/"


def list_page(experiments: Sequence[BaseExperiment], offset: int, total: int) -> Html:
    """Show some experiments, a row each.

    :param experiments: those that are shown, the newest first
    :param int offset: how many newer ones there are
    :param int total: how many there are
    """
    if not total:
        what: Child = tag("p", "There are no experiments yet. They appear here as soon as somebody creates one.")
    else:
        what = tag("div", table_html(_table(experiments), _content), class_="scrolls")
    return framed(
        f"{total:,} experiment{'' if total == 1 else 's'} · Gradient",
        tag("h1", "Experiments"),
        what,
        _further(len(experiments), offset, total),
        tag("noscript", tag("p", f"Without JavaScript, this page is loaded anew every {RELOAD_SECONDS} seconds.")),
        reload_seconds=RELOAD_SECONDS,
    )


def _table(experiments: Sequence[BaseExperiment]) -> Table:
    """Show what notebooks show, and when it was."""
    from attrs import evolve

    from gradient_ext.progress_text import elapsed_text
    from gradient_ext.tables import Cell, Column, experiments_table

    table = experiments_table(experiments)
    times: list[tuple[Cell, ...]] = []
    for experiment in experiments:
        took = seconds_between(experiment.dt_started, experiment.dt_finished)
        times.append((Cell(experiment.dt_created or ""), Cell("" if took is None else elapsed_text(took))))
    return evolve(
        table,
        columns=(*table.columns, Column("created (UTC)"), Column("ran", is_number=True)),
        rows=tuple((*row, *further) for row, further in zip(table.rows, times, strict=True)),
    )


def _content(column: Column, cell: Cell) -> Child:
    if column.name == "id":
        return tag("a", cell.text, href=f"{EXPERIMENT}{cell.text}")
    return time_html(cell.text or None) if column.name.startswith("created") else plain(column, cell)


def _further(shown: int, offset: int, total: int) -> Html | None:
    if shown == total:
        return None
    newer, older = max(0, offset - AT_ONCE), offset + AT_ONCE
    return tag(
        "nav",
        tag("a", "newer", href=f"/?offset={newer}" if newer else "/", rel="prev") if offset else None,
        tag("span", f"{offset + 1:,} to {offset + shown:,} of {total:,}" if shown else f"{total:,}, none of them here"),
        tag("a", "older", href=f"/?offset={older}", rel="next") if older < total else None,
    )
