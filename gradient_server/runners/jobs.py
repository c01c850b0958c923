"""The jobs of an experiment: one for each node that it asks for. The same ones, whatever runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gradient_server.runners.base import Job
from gradient_server.runners.ids import id_from


def jobs_of(handle: str, body: Mapping[str, Any]) -> tuple[Job, ...]:
    """Give the jobs; their ids follow from the handle, and from what they are called."""
    return tuple(Job(id=id_from("js", f"{handle} {title}"), title=title) for title in _nodes(body))


def _nodes(body: Mapping[str, Any]) -> Iterator[str]:
    """Name the nodes of an experiment: one for each that a `...Count` asks for, or just one."""
    counts = {name.removesuffix("Count"): count for name, count in body.items() if name.endswith("Count")}
    for name, count in counts.items():
        title = re.sub(r"(?=[A-Z])", " ", name).lower()
        yield from (f"{title} {number}" for number in range(1, count + 1))
    if not counts:
        yield "worker"
