"""The pages as HTML. The templates in `templates/` escape everything that they are given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gradient_ext.display.tables import BACKGROUNDS, elapsed_text, size_text
from gradient_ext.experiments import BaseExperiment, experiment_table
from gradient_ext.redaction import escape_control_characters, redact, remove_escape_sequences
from gradient_ext.states import ExperimentType, has_ended, state_style, state_word
from gradient_server.clock import Clock
from gradient_server.dashboard.data import MAX_ROWS, LogPart, format_lines
from gradient_server.dashboard.listing import (
    ALWAYS,
    PAGE_SIZE,
    ListedRun,
    Query,
    RunPage,
    differing,
    has_numbers,
    readable,
)
from gradient_server.runners.base import Artifact

MAX_ARTIFACTS = 200
"""How many artifacts are listed."""
MAX_CHARACTERS = 2_000
"""How many characters of a log row are shown."""
RELOAD_SECONDS = 5
"""How often a browser without JavaScript loads the page of a run again."""
LIST_RELOAD_SECONDS = 30
"""How often it loads the list again, in which somebody may be typing."""


def list_page(page: RunPage, query: Query, clock: Clock) -> str:
    """Return the page that lists runs.

    :param RunPage page: the runs that it lists
    :param Query query: what its URL asks for
    :param Clock clock: the clock of their timestamps
    """
    on_page = {run.handle for run in page.runs}
    return _render(
        "list.html",
        page=page,
        query=query,
        elsewhere=[handle for handle in query.run if handle not in on_page],
        created={run.handle: clock.date(run.created).isoformat(timespec="seconds") for run in page.runs},
        sortable=[*ALWAYS, *page.columns],
        numeric={column for column in page.columns if has_numbers(page.runs, column)},
        page_size=PAGE_SIZE,
        reload_seconds=LIST_RELOAD_SECONDS,
    )


def compare_page(runs: Sequence[ListedRun], query: Query) -> str:
    """Return the page that compares the selected runs: what differs in their parameters, their metrics and curves."""
    metrics = dict.fromkeys(f"metric:{name}" for run in runs for name in run.metrics)
    columns = [*differing(runs), *metrics]
    return _render(
        "compare.html",
        runs=runs,
        query=query,
        columns=columns,
        numeric={column for column in columns if has_numbers(runs, column)},
        reload_seconds=RELOAD_SECONDS if any(not has_ended(run.state) for run in runs) else None,
    )


def experiment_page(experiment: BaseExperiment, log: LogPart, artifacts: Sequence[Artifact], now: datetime) -> str:
    """Return the page of an experiment as of now: its state, charts, log, artifacts and parameters."""
    return _render(
        "experiment.html",
        experiment=experiment,
        now=now,
        title=_title(experiment),
        table=experiment_table(experiment),
        log=log,
        artifacts=artifacts[:MAX_ARTIFACTS],
        has_more_artifacts=len(artifacts) > MAX_ARTIFACTS,
        max_rows=MAX_ROWS,
        reload_seconds=None if log.is_complete else RELOAD_SECONDS,
    )


def update(experiment: BaseExperiment, log: LogPart | None, now: datetime) -> dict[str, Any]:
    """Return what brings the page of an experiment up to date, as JSON values.

    :param LogPart log: the rows that the page does not show yet; None: it does not show the end of the log
    :param datetime now: until when a running experiment has run
    """
    body: dict[str, Any] = {
        "state": experiment.state,
        "title": _title(experiment),
        "summary": _render("_summary.html", experiment=experiment, now=now),
    }
    if log:
        body |= {
            "rows": _render("_rows.html", log=log),
            "skipped": log.skipped,
            "lines": format_lines(log.lines),
            "range": _render("_range.html", log=log),
        }
    return body


def login_page(next_url: str, problem: str | None = None) -> str:
    """Return the page that asks for the API key.

    :param str next_url: the page that follows
    :param str problem: what was wrong with the last attempt
    """
    return _render("login.html", next_url=next_url, problem=problem)


def message_page(title: str, text: str) -> str:
    """Return a page with one message."""
    return _render("message.html", title=title, text=text)


def badge_styles() -> str:
    """Return the style rules for the colours of states, which are those of notebooks, and of curves."""
    badges = "".join(f".badge.{style} {{ background: {color}; }}\n" for style, color in BACKGROUNDS.items())
    return badges + "".join(f".color-{number} {{ background: var(--line-{number}); }}\n" for number in range(8))


def _render(template: str, **context: object) -> str:
    return _TEMPLATES.get_template(template).render(context)


def _title(experiment: BaseExperiment) -> str:
    """Return the title of the window; the state comes first, so that it can be read in a narrow tab."""
    return f"{state_word(experiment.state)} · {readable(experiment.name or experiment.id)} · Gradient"


def _message(text: str) -> str:
    """Return the beginning of a log message. It is redacted before it is cut: half a URL cannot be recognised."""
    redacted = redact(remove_escape_sequences(text))
    if len(redacted) <= MAX_CHARACTERS:
        return escape_control_characters(redacted, multiline=True)
    return f"{escape_control_characters(redacted[:MAX_CHARACTERS], multiline=True)} … of {len(text):,} characters"


def _format_date(stamp: str) -> str:
    """Return a timestamp to the second.

    >>> _format_date("2024-05-06T07:08:09.123456+00:00")
    '2024-05-06 07:08:09'
    """
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S}"


def _run_seconds(experiment: BaseExperiment, now: datetime) -> float | None:
    """Return how long an experiment ran, or has been running; None: it did not run."""
    if experiment.dt_started is None or (experiment.dt_finished is None and has_ended(experiment.state)):
        return None
    end = datetime.fromisoformat(experiment.dt_finished) if experiment.dt_finished else now
    return max(0.0, (end - datetime.fromisoformat(experiment.dt_started)).total_seconds())


def _label(column: str) -> str:
    """Return the head of a column.

    >>> _label("env:LR"), _label("project")
    ('LR', 'project')
    """
    return column.partition(":")[2] or column


def _column_text(run: ListedRun, column: str) -> str:
    """Return the text in a column; numbers to five digits."""
    value = run.value(column)
    return "" if value is None else value if isinstance(value, str) else f"{value:.5g}"


_TEMPLATES = Environment(
    loader=PackageLoader("gradient_server.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(
    dict[str, Any](
        column_text=_column_text,
        elapsed_text=elapsed_text,
        format_date=_format_date,
        format_lines=format_lines,
        label=_label,
        message=_message,
        readable=readable,
        run_seconds=_run_seconds,
        size_text=size_text,
        state_style=state_style,
        state_word=state_word,
        thousands="{:,}".format,
        type_word=ExperimentType.get_type_str,
    )
)
