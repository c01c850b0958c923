"""Printing: data to stdout, messages to stderr; colours and live lines only in a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable

import click

from gradient import LogRow
from gradient_ext.redaction import escape_control_characters

_COLOR = re.compile(r"(\x1b\[[0-9;:]*m)")


def print_json(value: object) -> None:
    """Print a JSON document: indented in a terminal, else on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def note(text: str) -> None:
    """Print a message to stderr."""
    click.echo(text, err=True, color=_color())


def print_rows(
    rows: Iterable[LogRow],
    *,
    as_json: bool = False,
    timestamps: bool = False,
    nodes: bool = False,
    node: str | None = None,
) -> None:
    """Print rows of a log: their messages as they are, or in a terminal without control characters but for colours.

    :param bool as_json: whether to print a JSON object in each line instead
    :param bool timestamps: whether to print the time before each message
    :param bool nodes: whether to print the node before each message
    :param str node: print only the rows of this node; default: of all
    """
    for row in rows:
        if node is not None and row.node != node:
            continue
        if as_json:
            click.echo(json.dumps(row.to_dict(), ensure_ascii=False))
            continue
        message = row.message.rstrip("\r\n")
        before = f"{row.timestamp}  " if timestamps else ""
        if nodes and row.node:
            before += f"{row.node}  "
        if sys.stdout.isatty():
            styled = click.style(before, dim=True) if before else ""
            click.echo(f"{styled}{_for_terminal(message)}", color=_color())
        else:
            click.echo(f"{before}{message}", color=True)  # as the command printed it


def _color() -> bool | None:
    """Return whether to use colours; None: in a terminal (https://no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None


def _for_terminal(message: str) -> str:
    parts = _COLOR.split(message)
    text = "".join(part if number % 2 else escape_control_characters(part) for number, part in enumerate(parts))
    return f"{text}\x1b[0m" if len(parts) > 1 else text
