"""The figures that the benchmark computes from measured times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Aim, Line, brief, compared, ratio
from benchmarks.races import race
from benchmarks.report import heading, row, summary

SECONDS = st.floats(1e-6, 1e3)


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=20), st.floats(0.1, 10))
def test_ratios_do_not_depend_on_how_fast_the_machine_is(pairs, slower):
    """If each round is slower by the same factor for both, the ratio and its spread stay."""
    times, base = zip(*pairs, strict=True)
    found = ratio(times, base)
    elsewhere = ratio([one * slower for one in times], [one * slower for one in base])
    assert (elsewhere.value, elsewhere.low, elsewhere.high) == pytest.approx((found.value, found.low, found.high))
    assert found.low <= found.high


def test_one_slow_round_does_not_move_a_ratio():
    """They are those of medians."""
    assert ratio([2, 2, 200, 2, 2], [1, 1, 1, 1, 1]).value == 2


@pytest.mark.parametrize(
    ("aim", "is_met"),
    [
        (Aim("a", 1.15, most=1.15), True),
        (Aim("a", 1.16, most=1.15), False),
        (Aim("a", 1.3, least=1.3), True),
        (Aim("a", 1.2, least=1.3), False),
        (Aim("a", None, least=1.3), None),
    ],
)
def test_an_aim_is_met_up_to_its_bound(aim, is_met):
    assert aim.is_met is is_met
    assert aim.as_json()["met"] is is_met


@given(st.floats(1e-9, 1e9))
def test_numbers_are_short(value):
    """They fit into their columns, and are right up to half of the last digit."""
    text = brief(value)
    assert len(text) <= len("1,000,000,000")
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.051, abs=0.0005)


class Slow:
    """A worker with given seconds and a given result."""

    def __init__(self, seconds, result=7):
        self.seconds, self.result, self.log = seconds, result, []

    def do(self, what, times=1, **given):
        self.log.append((what, times))
        return {"seconds": self.seconds, "cpu": self.seconds / 2, "result": self.result}


def test_contenders_take_turns():
    """Each does the same as often, after a first time that does not count."""
    workers = {"this": Slow(3.0), "raw": Slow(2.0)}
    found = race(workers, "get", 4, 100)
    assert [worker.log for worker in workers.values()] == [[("get", 1), *[("get", 100)] * 4]] * 2
    assert found.ratios()[compared("raw")].value == 1.5
    assert found.faster_than("old") is None


def test_a_race_of_contenders_with_different_results_is_an_error():
    """A contender that leaves out half of the work would win it."""
    with pytest.raises(RuntimeError, match=r"do not do the same when told to list: \{'this': 7, 'raw': 8\}"):
        race({"this": Slow(1.0), "raw": Slow(1.0, result=8)}, "list", 1)


def test_the_table_lines_up():
    """Figures are below the heads of their columns, and a missed aim is in its row and in the summary."""
    full = {"this": 1.0, "generated": 2.0, "raw": 0.5, "old": 12345.678}
    ratios = {compared("raw"): ratio([2], [1]), compared("old"): ratio([1], [4])}
    lines = [Line("get", "ms", full, ratios, [Aim("of raw", 2.0, most=1.15)]), Line("server", "MB", {"this": 33.3})]
    head, *rows = heading(has_old=True), *map(row, lines)
    for column in ("ours", "generated", "compared", "old client", "to compared", "old/ours"):
        end = head.index(column) + len(column)
        assert all(len(text) >= end and text[end - 1] != " " and text[end : end + 1] in ("", " ") for text in rows)
    assert rows[0].endswith("MISSED <= 1.15")
    assert summary(lines) == ["0 of 1 aims are met.", "  get: of raw 2.00 <= 1.15: NOT MET"]
