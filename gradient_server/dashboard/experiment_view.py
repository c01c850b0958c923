"""The page of one experiment: how it is, the curves of its log, the log, and what it was created with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradient_server.dashboard.chart import chart
from gradient_server.dashboard.frame import framed
from gradient_server.dashboard.list_view import EXPERIMENT
from gradient_server.dashboard.log_view import LogPart, log_section
from gradient_server.dashboard.markup import Child, Html, tag
from gradient_server.dashboard.tables import badge, table_html
from gradient_server.dashboard.times import seconds_between, time_html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradient_ext.experiments import BaseExperiment
    from gradient_server.dashboard.experiments import Curves

MOST_CURVES = 8
"""How many curves are drawn."""
RELOAD_SECONDS = 5


def experiment_page(experiment: BaseExperiment, log: LogPart, curves: Curves, jobs: Mapping[str, str]) -> Html:
    """Show an experiment.

    :param BaseExperiment experiment: the experiment
    :param LogPart log: the rows of its log that are shown
    :param Curves curves: the numbers of its log
    :param jobs: its jobs, and what they are called
    """
    live = None if log.is_over else RELOAD_SECONDS
    return framed(
        title_of(experiment),
        tag(
            "article",
            summary(experiment),
            tag("section", curves_part(curves, jobs), id="curves"),
            log_section(log, jobs, RELOAD_SECONDS),
            _parameters(experiment),
            data_place=f"{EXPERIMENT}{experiment.id}",
            data_state=str(experiment.state),
            data_live=not log.is_over,
        ),
        reload_seconds=live,
    )


def title_of(experiment: BaseExperiment) -> str:
    """Name the window: the state comes first, where it can be read in a narrow tab."""
    from gradient_ext.redaction import redact
    from gradient_ext.states import state_word

    return f"{state_word(experiment.state)} · {redact(experiment.name or experiment.id)} · Gradient"


def summary(experiment: BaseExperiment) -> Html:
    """Say how an experiment is: its state, what went wrong, and its times."""
    from gradient_ext.redaction import redact

    error = experiment.experiment_error
    return tag(
        "section",
        tag("h1", redact(experiment.name or experiment.id), " ", badge(experiment.state)),
        tag("p", redact(error), class_="problem") if error else None,
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _facts(experiment)]),
        id="summary",
    )


def curves_part(curves: Curves, jobs: Mapping[str, str]) -> Html:
    """Draw the curves of a log, and say what is not drawn."""
    shown, left = curves.curves[:MOST_CURVES], len(curves.curves) - MOST_CURVES
    notes: list[Child] = []
    if left > 0:
        notes.append(f"{left} more name{'' if left == 1 else 's'} of numbers not drawn.")
    if curves.read < curves.total:
        notes.append(f"Drawn from {curves.read:,} of {curves.total:,} rows, evenly spread.")
    return tag(
        "div",
        [chart(curve, jobs) for curve in shown],
        [tag("p", note, class_="note") for note in notes] if shown else None,
        class_="curves",
    )


def _facts(experiment: BaseExperiment) -> list[tuple[str, Child]]:
    from gradient_ext.progress_text import elapsed_text
    from gradient_ext.states import ExperimentType

    facts: list[tuple[str, Child]] = [
        ("id", tag("code", experiment.id)),
        ("type", ExperimentType.get_type_str(experiment.experiment_type_id)),
        ("project", experiment.project_id),
        ("created (UTC)", time_html(experiment.dt_created)),
        ("started (UTC)", time_html(experiment.dt_started)),
        ("finished (UTC)", time_html(experiment.dt_finished)),
    ]
    took = seconds_between(experiment.dt_started, experiment.dt_finished)
    if took is not None:
        facts.append(("ran", elapsed_text(took)))
    return [(name, value) for name, value in facts if value is not None]


def _parameters(experiment: BaseExperiment) -> Html:
    """Show all that is set, as notebooks do; secrets are redacted. Times are there, too: in full."""
    from gradient_ext.tables import experiment_table

    return tag(
        "section",
        tag("h2", "Parameters"),
        tag("div", table_html(experiment_table(experiment)), class_="scrolls"),
        id="parameters",
    )
