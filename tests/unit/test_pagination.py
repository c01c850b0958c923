"""The list cursor against model servers: every experiment once, whatever limit and offset mean to the server."""

import tracemalloc

import pytest
from gradient_api.models import ExperimentList as ExperimentPage
from hypothesis import example, given
from hypothesis import strategies as st

from gradient_ext.experiments import experiment_from
from gradient_ext.pagination import ListCursor


def page_of(answer):
    return ExperimentPage.from_dict(answer)


def experiment(handle):
    return {"handle": handle, "experimentTypeId": 1, "state": 1}


def flat(groups, offset, limit):
    handles = [handle for group in groups for handle in group]
    page = [experiment(handle) for handle in handles[offset : offset + limit]]
    return {"data": page, "meta": {"totalItems": len(handles)}}


def grouped_overall(groups, offset, limit):
    wanted = {found["handle"] for found in flat(groups, offset, limit)["data"]}
    data = [{"data": [experiment(handle) for handle in group if handle in wanted]} for group in groups]
    return {"data": data, "meta": {"totalItems": sum(map(len, groups))}}


def grouped_each(groups, offset, limit):
    data = [{"data": [experiment(handle) for handle in group[offset : offset + limit]]} for group in groups]
    return {"data": data, "meta": {"totalItems": sum(map(len, groups))}}


def without_pages(groups, offset, limit):
    return {"data": [experiment(handle) for group in groups for handle in group], "meta": None}


def capped(server, most=3, *, says_so=True):
    """Return a server with a largest page size, which it may report."""

    def answer(groups, offset, limit):
        page = server(groups, offset, min(limit, most))
        page["meta"] |= {"limit": min(limit, most)} if says_so else {}
        return page

    return answer


def without_total(server):
    """Return a server that does not report a total."""
    return lambda *asked: {**server(*asked), "meta": {}}


CAPPED = [capped(flat), capped(grouped_overall), capped(grouped_each), capped(flat, says_so=False)]


@pytest.mark.parametrize(
    "server", [flat, grouped_overall, grouped_each, without_pages, without_total(capped(flat)), *CAPPED]
)
@given(
    sizes=st.lists(st.integers(0, 9), max_size=4),
    page_size=st.integers(1, 7),
    limit=st.none() | st.integers(1, 12),
    bounded=st.booleans(),
)
def test_every_experiment_comes_once_whatever_limit_and_offset_mean_to_the_server(
    server, sizes, page_size, limit, bounded
):
    groups = [[f"es{number}x{place}" for place in range(size)] for number, size in enumerate(sizes)]
    cursor = ListCursor(0, limit, max_page_size=page_size, bounded=bounded)
    got = []
    for _ in range(100):
        if cursor.finished:
            break
        got += cursor.take(page_of(server(groups, cursor.offset, cursor.page_size)))
    everything = [handle for group in groups for handle in group]
    handles = [found["handle"] for found in got]
    assert len(handles) == len(set(handles))
    assert len(handles) == (len(everything) if limit is None else min(limit, len(everything)))
    assert set(handles) <= set(everything)


@pytest.mark.parametrize("server", [flat, capped(flat)])
@given(created=st.lists(st.integers(0, 25), max_size=12), page_size=st.integers(5, 7))
@example(created=[0, 0, 16, 0, 5], page_size=5)
def test_experiments_that_are_created_meanwhile_make_no_other_come_twice_or_not_at_all(server, created, page_size):
    check_created_meanwhile(server, created, page_size)


@pytest.mark.parametrize("server", [flat, without_total(flat)])
@given(created=st.lists(st.integers(0, 4), max_size=12), page_size=st.integers(5, 7), bounded=st.booleans())
def test_fewer_new_experiments_than_a_page_has_need_neither_a_total_nor_much_memory(
    server, created, page_size, bounded
):
    check_created_meanwhile(server, created, page_size, bounded=bounded)


def check_created_meanwhile(server, created, page_size, *, bounded=False):
    old = [f"es{number}" for number in range(40)]
    known, got = list(old), []
    cursor = ListCursor(max_page_size=page_size, bounded=bounded)
    for turn in range(100):
        if cursor.finished:
            break
        got += cursor.take(page_of(server([known], cursor.offset, cursor.page_size)))
        count = created[turn] if turn < len(created) else 0
        known[:0] = [f"new{turn}x{number}" for number in range(count)]
    assert cursor.finished
    handles = [found["handle"] for found in got]
    assert [handle for handle in handles if handle in old] == old
    assert len(set(handles)) == len(handles)


@pytest.mark.parametrize("server", [flat, capped(flat), grouped_overall, grouped_each])
@given(
    changes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40), st.integers(0, 2)), max_size=12),
    page_size=st.integers(3, 7),
    bounded=st.booleans(),
)
def test_what_is_there_all_along_comes_once_and_in_order_whatever_is_deleted_and_created_meanwhile(
    server, changes, page_size, bounded
):
    """Each change deletes experiments from some place on, and creates new ones, which are the first ones."""
    known, got = [f"es{number}" for number in range(40)], []
    cursor = ListCursor(max_page_size=page_size, bounded=bounded)
    turns = 0
    while not cursor.finished:
        got += cursor.take(page_of(server([known], cursor.offset, cursor.page_size)))
        deleted, place, created = changes[turns] if turns < len(changes) else (0, 0, 0)
        known[place : place + deleted] = []
        known[:0] = [f"new{turns}x{number}" for number in range(created)]
        turns += 1
        assert turns < 300
    handles = [found["handle"] for found in got]
    old = [handle for handle in known if handle.startswith("es")]
    if bounded:  # Experiments may come again that were on a page long ago.
        assert set(old) <= set(handles)
        return
    assert [handle for handle in handles if handle in old] == old
    assert len(set(handles)) == len(handles)


@pytest.mark.parametrize("page_size", [1, 2, 10])
def test_one_experiment_is_deleted_with_each_page(page_size):
    known, got = [f"es{number}" for number in range(30)], []
    cursor = ListCursor(max_page_size=page_size)
    while not cursor.finished:
        got += cursor.take(page_of(flat([known], cursor.offset, cursor.page_size)))
        del known[:1]
    assert {found["handle"] for found in got} >= set(known)


def test_experiments_before_the_offset_of_the_caller_do_not_come_when_others_are_deleted():
    known, got = [f"es{number}" for number in range(12)], []
    cursor = ListCursor(5, max_page_size=4)
    while not cursor.finished:
        got += [found["handle"] for found in cursor.take(page_of(flat([known], cursor.offset, cursor.page_size)))]
        known = [handle for handle in known if handle != "es6"]
    assert got == ["es5", "es6", "es7", "es8", "es9", "es10", "es11"]


@pytest.mark.parametrize("lie", [-1, 0, 5, 7, "5"])
@pytest.mark.parametrize("server", [capped(flat), capped(grouped_overall)])
def test_a_total_that_is_less_than_what_has_come_does_not_end_the_list(server, lie):
    everything, got = [f"es{number}" for number in range(12)], []
    cursor = ListCursor(max_page_size=6)
    for _ in range(100):
        if cursor.finished:
            break
        page = server([everything], cursor.offset, cursor.page_size)
        page["meta"]["totalItems"] = lie if cursor.offset else 12
        got += [found["handle"] for found in cursor.take(page_of(page))]
    assert got == everything


def test_totals_that_jump_up_and_down_do_not_make_a_list_endless():
    everything, got, pages = [f"es{number}" for number in range(100)], [], 0
    cursor = ListCursor(max_page_size=10)
    while not cursor.finished:
        page = capped(flat, 10)([everything], cursor.offset, cursor.page_size)
        page["meta"]["totalItems"] = 1000 - 400 * (pages % 2)
        got += [found["handle"] for found in cursor.take(page_of(page))]
        pages += 1
        assert pages < 300
    assert got == everything


@pytest.mark.parametrize("total", [10**15, 3, None])
def test_a_page_without_new_experiments_is_the_end_whatever_the_total(total):
    cursor, page = (
        ListCursor(max_page_size=2),
        {"data": [experiment("es1"), experiment("es2")], "meta": {"totalItems": total}},
    )
    assert [len(cursor.take(page_of(page))), len(cursor.take(page_of(page)))] == [2, 0]
    assert cursor.finished


@pytest.mark.parametrize("total", [10**15, None])
def test_an_empty_page_is_the_end_whatever_the_total(total):
    cursor = ListCursor()
    cursor.take(page_of({"data": [], "meta": {"totalItems": total}}))
    assert cursor.finished


def test_memory_of_an_iteration_does_not_grow_with_the_list():
    peaks = [peak_of_an_iteration(count) for count in (2_000, 20_000)]
    assert peaks[1] < 1.5 * peaks[0]


def peak_of_an_iteration(count):
    cursor = ListCursor(max_page_size=100, bounded=True)
    tracemalloc.start()
    while not cursor.finished:
        page = range(cursor.offset, min(count, cursor.offset + 100))
        cursor.take(page_of({"data": [experiment(f"es{number}") for number in page]}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_an_experiment_that_is_twice_in_a_page_comes_and_counts_once():
    cursor = ListCursor(0, 2)
    twice = {"data": [experiment("es1"), {"data": [experiment("es1"), experiment("es2"), experiment("es3")]}]}
    assert [found["handle"] for found in cursor.take(page_of(twice))] == ["es1", "es2"]
    assert cursor.finished


@pytest.mark.parametrize("meta", [[], "text", {"totalItems": "many"}, {"totalItems": None}, {"totalItems": []}])
def test_a_missing_or_invalid_total_does_not_end_the_list(meta):
    cursor = ListCursor()
    cursor.take(page_of({"data": [experiment("es1")], "meta": meta}))
    assert not cursor.finished


@pytest.mark.parametrize(
    "invalid", [{"handle": "es2", "state": 1, "data": []}, experiment(None), experiment([]), experiment("")]
)
def test_an_invalid_experiment_is_an_error_and_not_an_empty_group(invalid):
    with pytest.raises(ValueError, match=r"handle is|experimentTypeId"):
        [experiment_from(found) for found in ListCursor().take(page_of({"data": [experiment("es1"), invalid]}))]


@pytest.mark.parametrize(
    ("incomplete", "problem"),
    [
        ({"handle": "es2", "state": 1}, "an experiment lacks its experimentTypeId"),
        ({"handle": "es2", "experimentTypeId": 1}, "an experiment lacks its state"),
        (experiment(""), "handle is an empty string"),
    ],
)
def test_an_incomplete_experiment_is_an_error_also_where_it_is_skipped(incomplete, problem):
    with pytest.raises(ValueError, match=problem):
        ListCursor(0, 1).take(page_of({"data": [experiment("es1"), incomplete]}))
