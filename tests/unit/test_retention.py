"""Which ended experiments limits of number, age and size allow to keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_ext.retention import EndedRun, beyond_limits, parse_limit

NOW = 1_000_000.0
RUNS = st.lists(
    st.builds(EndedRun, st.uuids().map(str), st.floats(0, NOW), st.integers(0, 5_000)), unique_by=lambda run: run.id
)
LIMITS = st.lists(st.sampled_from(["1", "2", "5", "1m", "2d", "1w", "1kB", "3KiB", "0MB"]).map(parse_limit), max_size=3)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("50", {"count": 50}),
        ("90s", {"age": 90}),
        ("30m", {"age": 1800}),
        ("12h", {"age": 43_200}),
        ("30d", {"age": 2_592_000}),
        ("4w", {"age": 2_419_200}),
        ("200GB", {"size": 200 * 10**9}),
        ("1.5 tb", {"size": 1.5 * 10**12}),
        ("64MiB", {"size": 64 * 2**20}),
    ],
)
def test_a_limit_is_a_number_an_age_or_a_size(text, limit):
    found = parse_limit(text)
    assert {name: getattr(found, name) for name in limit} == limit
    assert sum(value != float("inf") for value in (found.count, found.age, found.size)) == 1


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "50 runs", "30D", "200G", "GB", "1e3", "٣"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="neither a number such as 50, nor an age such as 30d, nor a size"):
        parse_limit(text)


@given(RUNS, LIMITS)
def test_what_stays_are_the_latest_runs_as_many_as_every_limit_allows(runs, limits):
    gone = beyond_limits(runs, limits, NOW)
    kept = [run for run in runs if run not in gone]
    assert len(gone) + len(kept) == len(runs)
    assert gone == sorted(gone, key=lambda run: (run.ended, run.id))
    assert all(old.ended <= new.ended for old in gone for new in kept)

    def is_allowed(some):
        return all(
            len(some) <= limit.count
            and all(NOW - run.ended <= limit.age for run in some)
            and (len(some) <= 1 or sum(run.size for run in some) <= limit.size)
            for limit in limits
        )

    assert is_allowed(kept)
    if gone and limits:
        assert not is_allowed([*kept, gone[-1]])


def test_without_limits_no_run_stays():
    assert [run.id for run in beyond_limits([EndedRun("b", 2.0), EndedRun("a", 1.0)], [], NOW)] == ["a", "b"]


def test_the_latest_run_is_never_too_large():
    runs = [EndedRun("old", 1.0, 1), EndedRun("latest", 2.0, 10**9)]
    assert [run.id for run in beyond_limits(runs, [parse_limit("1kB")], NOW)] == ["old"]
