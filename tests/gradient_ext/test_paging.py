"""The list cursor against model servers: every experiment once, whatever limit and offset mean to the server."""

import pytest
from gradient_api.models import ExperimentList
from hypothesis import given
from hypothesis import strategies as st

from gradient import MalformedResponseError
from gradient_ext import paging
from gradient_ext.paging import ListCursor


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


def ignorant(groups, offset, limit):
    return {"data": [experiment(handle) for group in groups for handle in group], "meta": None}


@pytest.mark.parametrize("server", [flat, grouped_overall, grouped_each, ignorant])
@given(sizes=st.lists(st.integers(0, 9), max_size=4), page_size=st.integers(1, 7), limit=st.none() | st.integers(1, 12))
def test_every_experiment_comes_once(server, sizes, page_size, limit):
    """Whether pages are cut through all experiments, through each group, or not at all."""
    groups = [[f"es{number}x{place}" for place in range(size)] for number, size in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "PAGE_SIZE", page_size)
        cursor = ListCursor(0, limit)
        got = []
        for _ in range(100):
            if cursor.finished:
                break
            got += cursor.take(ExperimentList.from_dict(server(groups, cursor.offset, cursor.page_size)))
    everything = [handle for group in groups for handle in group]
    handles = [found.handle for found in got]
    assert len(handles) == len(set(handles))
    assert len(handles) == (len(everything) if limit is None else min(limit, len(everything)))
    assert set(handles) <= set(everything)


def test_an_experiment_that_comes_twice_in_a_page():
    """Comes once, and counts once."""
    cursor = ListCursor(0, 2)
    twice = {"data": [experiment("es1"), {"data": [experiment("es1"), experiment("es2"), experiment("es3")]}]}
    assert [found.handle for found in cursor.take(ExperimentList.from_dict(twice))] == ["es1", "es2"]
    assert cursor.finished


@pytest.mark.parametrize("meta", [[], "text", {"totalItems": "many"}, {"totalItems": None}, {"totalItems": []}])
def test_a_total_that_is_none(meta):
    """Then the pages are gone through until one brings nothing new."""
    cursor = ListCursor()
    cursor.take(ExperimentList.from_dict({"data": [experiment("es1")], "meta": meta}))
    assert not cursor.finished


@pytest.mark.parametrize(
    "odd", [{"handle": "es2", "state": 1, "data": []}, experiment(None), experiment([]), experiment("")]
)
def test_what_is_no_experiment(odd):
    """Is an error: it is neither left out nor taken for an empty group."""
    with pytest.raises(MalformedResponseError):
        ListCursor().take(ExperimentList.from_dict({"data": [experiment("es1"), odd]}))
