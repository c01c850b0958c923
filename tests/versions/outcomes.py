"""What came of the tests in each environment, as a table, and whether classifiers say the same. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from xml.etree import ElementTree

from attrs import frozen

_HEADINGS = ("Python", "dependencies", "passed", "failed", "skipped", "seconds")


@frozen
class Outcome:
    """The tests with one Python and one choice of dependencies; without counts they did not get as far as running."""

    python: str
    """As 3.11.7."""
    dependencies: str
    is_right: bool
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    seconds: int | None = None

    @property
    def minor(self) -> str:
        """The Python as classifiers name it."""
        return minor_of(self.python)


def minor_of(python: str) -> str:
    """Shorten 3.11.7 to 3.11."""
    return ".".join(python.split(".")[:2])


def outcome_of(python: str, dependencies: str, *, code: int, junit: str | None) -> Outcome:
    """Read what pytest has left.

    :param str python: the Python that ran, as 3.11.7
    :param str dependencies: which dependencies were there
    :param int code: the exit code of pytest
    :param str junit: its report, unless there is none
    """
    if not junit:
        return Outcome(python, dependencies, is_right=False)
    suites = list(ElementTree.fromstring(junit).iter("testsuite"))
    tests, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return Outcome(
        python,
        dependencies,
        is_right=code == 0,
        passed=tests - failures - errors - skipped,
        failed=failures + errors,
        skipped=skipped,
        seconds=round(sum(float(suite.get("time", 0)) for suite in suites)),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Write one line for each environment, under headings."""
    rows = [_HEADINGS, *map(_cells, outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def untrue_classifiers(classified: Collection[str], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say where classifiers name what has not been tried, or not what has passed; what failed is in the table.

    :param Collection[str] classified: the Pythons that classifiers name, as 3.11
    :param Sequence[Outcome] outcomes: what came of all that were found
    """
    tried = {outcome.minor for outcome in outcomes}
    failed = {outcome.minor for outcome in outcomes if not outcome.is_right}
    for minor in classified:
        if minor not in tried:
            yield f"A classifier names Python {minor}, which was not tried: there is no interpreter of it here."
    for minor in sorted(tried - failed - set(classified), key=_number):
        yield f"Python {minor} passed, and no classifier names it."


def _cells(outcome: Outcome) -> tuple[str, ...]:
    numbers = (outcome.passed, outcome.failed, outcome.skipped, outcome.seconds)
    return (outcome.python, outcome.dependencies, *("-" if number is None else str(number) for number in numbers))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    texts = [f"{cell:<{width}}" for cell, width in zip(row[:2], widths[:2], strict=True)]
    return "  ".join([*texts, *(f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True))])


def _number(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))
