"""What Prism found wrong in an exchange. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from recording import Exchange


def violations(exchanges: Iterable[Exchange]) -> list[str]:
    """Describe everything that was found wrong, exchange by exchange."""
    return [
        f"{exchange.method} {exchange.url} ({exchange.status}): {finding}"
        for exchange in exchanges
        for finding in _findings(exchange)
    ]


def _findings(exchange: Exchange) -> Iterator[str]:
    """Read the verdict: in a header where the answer was passed on, in the body where Prism answered in its place."""
    header = exchange.answer_header("sl-violations")
    if exchange.answer_header("Content-Type") == "application/problem+json":
        yield from _problem(exchange.answer_body.decode("utf-8", "replace"))
    elif header is not None:
        yield from _listed(header)


def _problem(text: str) -> Iterator[str]:
    try:
        problem = json.loads(text)
    except ValueError:
        yield text
        return
    yield f"{problem.get('title')}: {problem.get('detail')}"
    yield from _listed(json.dumps(problem.get("validation", [])))


def _listed(text: str) -> Iterator[str]:
    try:
        found = json.loads(text)
    except ValueError:  # Prism cuts off what is too long for a header.
        yield text
        return
    for violation in found:
        yield f"{'.'.join(map(str, violation['location']))}: {violation['message']}"
