"""The figures as a table that a person reads. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.e2e.chaos.trial import Figures

EXAMPLES = 5
"""How many of what must not be are told in full."""
_RED, _GREEN, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
Row = tuple[str, int]


def report(figures: Figures, how_it_goes_away: str, complaints: str, *, colours: bool) -> str:
    """Write the table, and under it what must not be.

    :param Figures figures: what came of the trial
    :param str how_it_goes_away: what the server did, in the plural
    :param str complaints: what it wrote to its standard error
    :param bool colours: whether to use colours
    """
    rows = [*_work(figures, how_it_goes_away), *_wrong(figures)]
    name_width = max(len(name) for name, _ in rows)
    number_width = max(len(str(number)) for _, number in rows)
    lines = [f"{name:<{name_width}}  {number:>{number_width}}" for name, number in rows]
    for name, sentences in figures.verdict.wrong.items():
        lines += [f"{name}: {sentence}" for sentence in sentences[:EXAMPLES]]
    lines += [f"gave up: {error}" for error in figures.verdict.gave_up[:EXAMPLES]]
    if complaints:
        lines += ["the server complained:", complaints.rstrip()]
    lines += ["", _sentence(figures, complaints, colours=colours)]
    return "\n".join(lines)


def is_right(figures: Figures, complaints: str) -> bool:
    """Say whether nothing was lost, doubled or answered wrongly, and the server has nothing to complain about."""
    return figures.verdict.is_right and not complaints


def _work(figures: Figures, how_it_goes_away: str) -> Iterator[Row]:
    yield "logical calls", figures.calls
    yield "  that gave up", len(figures.verdict.gave_up)
    for name, number in Counter(type(error).__name__ for error in figures.verdict.gave_up).items():
        yield f"    {name}", number
    yield "requests sent", figures.requests
    yield "retries", figures.retries
    yield f"{how_it_goes_away} of the server", figures.times_away
    yield "faults injected", sum(figures.injected.values())
    for kind, number in sorted(figures.injected.items()):
        yield f"  {kind}", number


def _wrong(figures: Figures) -> Iterator[Row]:
    yield "experiments on the server", figures.experiments
    for name, sentences in figures.verdict.wrong.items():
        yield f"  {name}", len(sentences)


def _sentence(figures: Figures, complaints: str, *, colours: bool) -> str:
    took = f"({figures.requests / figures.seconds:.0f} requests a second for {figures.seconds:.0f} seconds)"
    if is_right(figures, complaints):
        colour, text = _GREEN, "Everything was done exactly once, and every caller got the answer that was meant for it"
    else:
        colour, text = _RED, "Something was lost, doubled or answered wrongly"
    return f"{colour}{text}{_PLAIN} {took}" if colours else f"{text} {took}"
