"""Fault settings, without a network: what can be set, and which request gets which fault."""

import json
from collections import Counter
from math import sqrt
from random import Random

import pytest
from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from gradient_server.faults.injection import mixed, older, repeated
from gradient_server.faults.responses import part_of
from gradient_server.faults.settings import LOGS, Faults, InvalidFaultsError, Kind

OPERATIONS = ["createExperiment", "listExperiments", LOGS]
STATUSES = st.lists(st.integers(400, 599), max_size=3)
SPANS = st.none() | st.tuples(st.floats(0, 3600), st.floats(0, 3600)).map(sorted)
NUMBERS = st.integers(0, 10**6)


def some_of(*names):
    return st.lists(st.sampled_from(names), max_size=4)


@st.composite
def faults(draw):
    settings = {
        "rate": draw(st.floats(0, 1)),
        "seed": draw(st.integers()),
        "statuses": draw(STATUSES),
        "statuses_after": draw(STATUSES),
        "html": draw(st.none() | st.booleans()),
        "latency": draw(SPANS),
        "resets": draw(some_of("before", "after")),
        "bodies": draw(some_of("truncated", "half")),
        "slow": draw(SPANS),
        "log_pages": draw(some_of("repeated", "mixed", "old", "late")),
        "operations": draw(some_of(*OPERATIONS)),
        "times": draw(st.none() | st.integers(1)),
    }
    try:
        return Faults(**settings)
    except InvalidFaultsError:  # no fault is chosen
        return Faults(**settings | {"operations": [], "resets": "before"})


@given(faults=faults(), number=NUMBERS, operation=st.sampled_from(OPERATIONS))
def test_the_fault_follows_from_the_settings_and_the_number_of_the_request(faults, number, operation):
    again = Faults(**json.loads(json.dumps(asdict(faults))))
    assert again == faults
    assert again.fault_for(number, operation) == faults.fault_for(number, operation)


@given(faults=faults(), number=NUMBERS, operation=st.sampled_from(OPERATIONS))
def test_only_chosen_faults_happen(faults, number, operation):
    fault = evolve(faults, rate=1).fault_for(number, operation)
    if faults.operations and operation not in faults.operations:
        assert fault is None
        return
    if fault is None:
        assert faults.log_pages
        assert operation != LOGS
        return
    assert 0 <= fault.share < 1
    assert faults.html in (None, fault.html)
    group, _, rest = fault.kind.value.partition("_")
    match fault.kind, rest:
        case Kind.STATUS, _:
            assert fault.status in faults.statuses
        case Kind.STATUS_AFTER, _:
            assert fault.status in faults.statuses_after
        case Kind.LATENCY, _:
            assert faults.latency[0] <= fault.seconds <= faults.latency[1]
        case Kind.SLOW_BODY, _:
            assert faults.slow[0] <= fault.seconds <= faults.slow[1]
        case _, "page":
            assert (group in faults.log_pages, operation) == (True, LOGS)
        case _, "body":
            assert group in faults.bodies
        case _:
            assert rest in faults.resets


EVERYTHING = Faults(
    statuses=500,
    statuses_after=502,
    latency=1,
    slow=1,
    resets=["before", "after"],
    bodies=["truncated", "half"],
    log_pages=["repeated", "mixed", "old", "late"],
)


@pytest.mark.parametrize("rate", [0, 0.01, 0.3, 1])
@pytest.mark.parametrize("seed", [0, -5])
def test_the_rate_is_the_share_of_requests_that_are_hit(rate, seed):
    total = 4000
    faults = evolve(EVERYTHING, rate=rate, seed=seed)
    kinds = Counter(fault.kind for number in range(total) if (fault := faults.fault_for(number, LOGS)))
    assert abs(kinds.total() - rate * total) <= 4 * sqrt(total * rate * (1 - rate))
    for kind in Kind if rate else ():
        share = rate / len(Kind)
        assert abs(kinds[kind] - share * total) <= 4 * sqrt(total * share * (1 - share)), kind


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ({"statuses": 503}, {"statuses": [503]}),
        ({"resets": "after"}, {"resets": ("after",)}),
        ({"latency": 2}, {"latency": [2, 2]}),
        ({"bodies": "half", "operations": LOGS}, {"bodies": ["half"], "operations": [LOGS]}),
        ({"slow": 0, "statuses": None}, {"slow": (0, 0)}),
    ],
)
def test_a_single_value_can_be_given_without_a_list(one, several):
    assert Faults(**one) == Faults(**several)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rate", [-0.1, 1.1, float("nan"), "0.5", True, None]),
        ("seed", [1.5, "1", True, None]),
        ("statuses", [200, 399, 600, "503", 503.5, [503, None], True, {503}]),
        ("statuses_after", [302, [[500]]]),
        ("html", [1, "yes"]),
        ("retry_after", [-1, 1.5, "3", True, 10**9 + 1]),
        ("retry_after_date", [None, 1]),
        ("latency", [-1, "1", [1], [1, 2, 3], [2, 1], 3601, [0, 3600.1], float("nan"), True, [None, 1], []]),
        ("slow", [-1, float("inf"), ["0", "1"]]),
        ("resets", ["During", "befor", ["before", 1], 1]),
        ("bodies", ["slow", [None]]),
        ("log_pages", ["lost"]),
        ("operations", [1, [None]]),
        ("times", [0, -1, 1.5, "2", True]),
    ],
)
def test_an_invalid_setting_is_named_with_its_value_and_what_would_be_right(name, values):
    for value in values:
        with pytest.raises(InvalidFaultsError, match=rf"{name}: It must be .+, not .+\.") as caught:
            Faults(**{"statuses": 500, name: value})
        assert list(caught.value.problems) == [name], value


def test_all_invalid_settings_are_reported_at_once():
    with pytest.raises(ValueError, match="rate") as caught:
        Faults(rate=2, resets="sometimes", times=0)
    assert str(caught.value) == (
        "rate: It must be a number from 0 to 1, not 2.; "
        "resets: It must be one or more of before, after, not ('sometimes',).; "
        "times: It must be a whole number above 0, not 0."
    )


@pytest.mark.parametrize("settings", [{}, {"rate": 0.3}, {"log_pages": "old", "operations": ["createExperiment"]}])
def test_settings_without_a_fault_are_invalid(settings):
    with pytest.raises(InvalidFaultsError, match="No fault is chosen; give statuses, "):
        Faults(**settings)


@st.composite
def pages(draw):
    """A page as the server returns it: rows of some jobs by line, and its limit."""
    jobs = draw(st.integers(1, 4))
    total, limit = draw(st.integers(0, 30)), draw(st.integers(1, 40))
    rows = [{"jobId": f"js{place % jobs}", "line": 5 + place // jobs} for place in range(total)]
    return rows[:limit], limit


def lines(rows, job):
    return [row["line"] for row in rows if row["jobId"] == job]


@given(page=pages())
def test_repeated_rows_can_be_followed(page):
    rows, limit = page
    found = repeated(rows, limit)
    assert len(found) <= limit
    for job in {row["jobId"] for row in rows}:
        assert lines(found, job) == sorted(lines(found, job))
        assert set(lines(found, job)) <= set(lines(rows, job))
    if len(found) < limit:
        assert [row for place, row in enumerate(found) if row not in found[:place]] == rows
    if len(rows) < limit or limit > 1:
        assert (found != rows) == bool(rows)


@given(page=pages(), seed=st.floats(0, 1))
def test_mixed_rows_of_a_job_stay_in_order(page, seed):
    rows, _ = page
    found = mixed(rows, Random(seed))
    assert len(found) == len(rows)
    for job in {row["jobId"] for row in rows}:
        assert lines(found, job) == lines(rows, job)


@given(line=st.integers(1, 10**6) | st.integers(1, 10**400), share=st.floats(0, 1, exclude_max=True))
def test_an_older_page_begins_before_the_requested_line(line, share):
    assert 0 <= older(line, share) < line


@given(body=st.binary(min_size=2, max_size=3000), share=st.floats(0, 1, exclude_max=True))
def test_a_body_is_cut_in_the_middle(body, share):
    cut = part_of(Response(body), share)
    assert 0 < len(cut) < len(body)
    assert body.startswith(cut)
