"""The log of an experiment as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from gradient_server.dashboard.log_parts import Ends, Row
from gradient_server.dashboard.markup import Child, Html, joined, tag
from gradient_server.dashboard.times import time_html

MOST_ROWS = 500
"""How many rows of a log are on a page."""
MOST_CHARACTERS = 2_000
"""How many characters of a row are; it can have thirty times as many, and a page five hundred such rows."""


@frozen(kw_only=True)
class LogPart:
    """Rows of a log.

    :param rows: the rows, without the markers that end a log
    :param ends: the last line of each job, the marker included
    :param int total: how many rows the log has, without the markers
    :param int after: after which line they come; None: they are the last rows, and more follow as they are printed
    :param bool skipped: whether there are rows before these that were not seen either
    :param bool is_over: whether there will be no more
    """

    rows: Sequence[Row]
    ends: Ends
    total: int
    after: int | None
    skipped: bool
    is_over: bool


def log_section(log: LogPart, jobs: Mapping[str, str], reload_seconds: int) -> Html:
    """Show rows of a log, say which they are, and lead to the others."""
    several = len(jobs) > 1
    heads = (*(["job"] if several else []), "line", "time (UTC)", "message")
    follows = log.after is None and not log.is_over
    return tag(
        "section",
        tag("h2", "Log"),
        tag("p", which_rows(log), id="which", class_="note"),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", (tag("th", head, scope="col") for head in heads))),
                tag("tbody", rows_html(log.rows, jobs), id="rows"),
            ),
            class_="log",
            tabindex="0",
            data_most=str(MOST_ROWS),
            data_seen=None if log.after is not None else seen_text(log.ends),
        ),
        tag("p", id="news", class_="note", aria_live="polite"),
        tag("noscript", tag("p", f"Without JavaScript, this page is loaded anew every {reload_seconds} seconds."))
        if follows
        else None,
        id="log",
    )


def rows_html(rows: Iterable[Row], jobs: Mapping[str, str]) -> Html:
    """Write rows, by the time when they were printed, escaped and redacted."""
    from gradient_ext.logs import LogRow
    from gradient_ext.tables import log_table

    places = {job: place for place, job in enumerate(jobs)}
    chosen = sorted(
        rows,
        key=lambda row: (datetime.fromisoformat(row["timestamp"]), places.get(row["jobId"], 0), row["line"]),
    )
    table = log_table(
        [LogRow(row["line"], _beginning(row["message"]), row["timestamp"], row["jobId"]) for row in chosen]
    )
    several = len(jobs) > 1
    return joined(
        tag(
            "tr",
            tag("td", jobs.get(row["jobId"], row["jobId"])) if several else None,
            tag("td", str(row["line"]), class_="number"),
            tag("td", time_html(row["timestamp"], of_day=True)),
            tag("td", cells[-1].text),
        )
        for row, cells in zip(chosen, table.rows, strict=True)
    )


def _beginning(message: str) -> str:
    if len(message) <= MOST_CHARACTERS:
        return message
    from gradient_ext.redaction import redact

    # Before it is cut: half an address would not be known for one.
    return f"{redact(message)[:MOST_CHARACTERS]} \u2026 of {len(message):,} characters"


def which_rows(log: LogPart) -> Html:
    """Say which rows are shown, and lead to the others."""
    last, lines = max(log.ends.values(), default=0), lines_at_once(log.ends)
    if log.after is not None:
        earlier = tag("a", "earlier", href=f"?after={max(0, log.after - lines)}#log") if log.after else None
        later = tag("a", "later", href=f"?after={log.after + lines}#log") if log.after + lines < last else None
        text = f"Lines {log.after + 1:,} to {min(last, log.after + lines):,} of {last:,}"
        return _apart(text, earlier, later, tag("a", "the last ones", href="?#log"))
    if not log.total:
        return _apart("No rows" if log.is_over else "No rows yet")
    if last <= lines:
        return _apart(f"{log.total:,} row{'' if log.total == 1 else 's'}")
    # A script that adds rows corrects the first number.
    shown = tag("span", f"{len(log.rows):,}", id="shown")
    first = tag("a", "from the first one", href="?after=0#log")
    return _apart(joined(("The last ", shown, f" of {log.total:,} rows")), first)


def seen_text(ends: Ends) -> str:
    """Write down the last line of each job, so that what follows can be asked for.

    >>> seen_text({"js1": 20, "js2": 18}), seen_from("js1:20,js2:18")
    ('js1:20,js2:18', {'js1': 20, 'js2': 18})
    """
    return ",".join(f"{job}:{line}" for job, line in ends.items())


def seen_from(text: str) -> dict[str, int]:
    """Read what `seen_text` wrote; what is something else is left out."""
    parts = (part.rpartition(":") for part in text.split(",")[:10_000])
    return {job: int(line) for job, _, line in parts if line.isascii() and line.isdecimal() and len(line) < 16}


def lines_at_once(ends: Ends) -> int:
    """Say how many lines of each job are on a page."""
    return max(1, MOST_ROWS // max(1, len(ends)))


def _apart(*parts: Child) -> Html:
    there = [part for part in parts if part]
    return joined((" · " if place else None, part) for place, part in enumerate(there))
