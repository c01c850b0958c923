"""What the contract tests share: the tally, which says at the end what they tried, in numbers."""

from collections import Counter, defaultdict

import pytest

pytest.register_assert_rewrite("judging")  # so that its assertions explain themselves

from judging.fixtures import answered, share, wire, wire_all_along  # noqa: E402, F401 # fixtures, after their rewrite

TALLY = pytest.StashKey["Tally"]()

collect_ignore = ["independent", "mutants"]  # They have targets of their own in the Makefile.


class Tally:
    """What was tried, suite by suite: how often, and how many different things."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._seen: defaultdict[str, defaultdict[str, set[object]]] = defaultdict(lambda: defaultdict(set))

    def count(self, suite: str, what: str, times: int = 1) -> None:
        """Count something that was tried, `requests` say."""
        self._counts[suite][what] += times

    def see(self, suite: str, what: str, one: object) -> None:
        """Keep one of the different `operations`, say, that were met; meeting it again counts nothing."""
        self._seen[suite][what].add(one)

    def seen(self, suite: str, what: str) -> frozenset[object]:
        """Give all the different ones that were met so far."""
        return frozenset(self._seen[suite][what])

    def lines(self) -> list[str]:
        """Say it, a line for each suite."""
        suites = sorted({*self._counts, *self._seen})
        width = max(map(len, suites), default=0)
        return [f"{suite:<{width}}  {', '.join(self._numbers(suite))}" for suite in suites]

    def _numbers(self, suite: str) -> list[str]:
        counted = [f"{number:,} {what}" for what, number in self._counts[suite].items()]
        return counted + [f"{len(ones):,} different {what}" for what, ones in self._seen[suite].items()]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TALLY] = Tally()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    return pytestconfig.stash[TALLY]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[TALLY].lines()
    if lines:
        terminalreporter.section("what the contract tests tried")
        for line in lines:
            terminalreporter.line(line)
