"""The pages as HTML. The templates in `templates/` escape everything that they are given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gradient_ext.display.tables import BACKGROUNDS, Column, elapsed_text
from gradient_ext.experiments import BaseExperiment, experiment_table, list_table
from gradient_ext.redaction import escape_control_characters, redact, remove_escape_sequences
from gradient_ext.states import ExperimentType, state_style, state_word
from gradient_server.dashboard.data import MAX_ROWS, LogPart, format_lines

PAGE_SIZE = 100
"""How many experiments are on a page."""
MAX_CHARACTERS = 2_000
"""How many characters of a log row are shown."""
RELOAD_SECONDS = 5
"""How often a browser without JavaScript loads a page again."""


def list_page(experiments: Sequence[BaseExperiment], offset: int, total: int) -> str:
    """Return the page that lists experiments.

    :param experiments: the experiments on this page, the newest first
    :param int offset: how many newer ones there are
    :param int total: how many there are
    """
    table = list_table(experiments)
    return _render(
        "list.html",
        columns=table.columns,
        rows=list(zip(experiments, table.rows, strict=True)),
        offset=offset,
        total=total,
        page_size=PAGE_SIZE,
        reload_seconds=RELOAD_SECONDS,
    )


def experiment_page(experiment: BaseExperiment, log: LogPart) -> str:
    """Return the page of an experiment: its state, charts, log and parameters."""
    return _render(
        "experiment.html",
        experiment=experiment,
        title=_title(experiment),
        table=experiment_table(experiment),
        log=log,
        max_rows=MAX_ROWS,
        reload_seconds=None if log.is_complete else RELOAD_SECONDS,
    )


def update(experiment: BaseExperiment, log: LogPart | None) -> dict[str, Any]:
    """Return what brings the page of an experiment up to date, as JSON values.

    :param LogPart log: the rows that the page does not show yet; None: it does not show the end of the log
    """
    body: dict[str, Any] = {
        "state": experiment.state,
        "title": _title(experiment),
        "summary": _render("_summary.html", experiment=experiment),
    }
    if log:
        body |= {
            "rows": _render("_rows.html", log=log),
            "count": len(log.rows),
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
    """Return the style rules for the colours of states, which are those of notebooks."""
    return "".join(f".badge.{style} {{ background: {color}; }}\n" for style, color in BACKGROUNDS.items())


def _render(template: str, **context: object) -> str:
    return _TEMPLATES.get_template(template).render(context)


def _title(experiment: BaseExperiment) -> str:
    """Return the title of the window; the state comes first, so that it can be read in a narrow tab."""
    return f"{state_word(experiment.state)} · {_readable(experiment.name or experiment.id)} · Gradient"


def _readable(text: str) -> str:
    """Return a text without escape sequences, with secrets redacted and control characters escaped."""
    return escape_control_characters(redact(remove_escape_sequences(text)))


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


def _run_time(experiment: BaseExperiment) -> str | None:
    """Return how long an experiment ran; None: it has not finished."""
    if experiment.dt_started is None or experiment.dt_finished is None:
        return None
    run_time = datetime.fromisoformat(experiment.dt_finished) - datetime.fromisoformat(experiment.dt_started)
    return elapsed_text(run_time.total_seconds())


def _column_classes(column: Column) -> str:
    """Return the classes with which the style sheet aligns columns, and hides some in a narrow window."""
    name = column.name.replace("_", "-")
    return f"column-{name}{' number' if column.is_number else ''}{' wraps' if column.wraps else ''}"


_TEMPLATES = Environment(
    loader=PackageLoader("gradient_server.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(
    dict[str, Any](
        column_classes=_column_classes,
        format_date=_format_date,
        format_lines=format_lines,
        message=_message,
        readable=_readable,
        run_time=_run_time,
        state_style=state_style,
        state_word=state_word,
        thousands="{:,}".format,
        type_word=ExperimentType.get_type_str,
    )
)
