"""What a server keeps on its disk, as tables and data frames; and how pages and removals are read."""

import pytest
from gradient_api.models import StoragePage

from gradient import Removal, StorageEntry, StorageList
from gradient_ext.display.tables import size_text
from gradient_ext.retention import parse_limit
from gradient_ext.storage import StorageCursor, entries_beyond

RUN = StorageEntry(
    id="es1", kind="experiment", size=1_204_224, shared=4096, name="mnist", state=5, dt_created="2019-07-08T12:40:31Z"
)
LEFT = StorageEntry(id=".forgotten-es2-1f", kind="leftover", size=512, shared=0, reason="1 file is left")


def page(following, *ids):
    entries = [{"handle": name, "kind": "experiment", "size": 1, "shared": 0} for name in ids]
    return StoragePage.from_dict({"data": entries, "meta": {"next": following}})


def test_the_table_has_the_sum_of_all():
    lines = StorageList([RUN, LEFT]).pretty(width=120).splitlines()
    assert lines[0].split() == ["id", "name", "state", "created", "shared", "size", "reason"]
    assert lines[1].split()[:3] == ["es1", "mnist", "stopped"]
    assert lines[2].split() == [".forgotten-es2-1f", "leftover", "512", "B", "1", "file", "is", "left"]
    assert lines[3].split() == ["total", "1.2", "MB"]
    assert StorageList([RUN, LEFT]).total == 1_208_832


def test_an_empty_list_says_so():
    assert StorageList().pretty() == "nothing is kept"


def test_a_notebook_shows_fifty_and_counts_the_others():
    text = StorageList([RUN] * 60)._repr_html_()
    assert text.count("<tr>") == 53
    assert "10 more" in text
    assert text.index("10 more") < text.index("total")


def test_a_data_frame_has_times_and_words_of_states():
    pytest.importorskip("pandas")
    frame = StorageList([RUN, LEFT]).to_dataframe()
    assert list(frame["size"]) == [1_204_224, 512]
    assert frame["dt_created"][0].isoformat() == "2019-07-08T12:40:31+00:00"
    assert frame["state_name"][0] == "stopped"
    assert frame["state_name"].isna()[1]


def test_pages_are_read_until_there_is_no_next():
    cursor = StorageCursor()
    assert cursor.parameters == {}
    assert [entry.id for entry in cursor.take(page("es2", "es1", "es2"))] == ["es1", "es2"]
    assert (cursor.parameters, cursor.finished) == ({"after": "es2"}, False)
    assert [entry.id for entry in cursor.take(page(None, "es3"))] == ["es3"]
    assert cursor.finished


def test_pages_that_bring_nothing_new_are_the_end():
    cursor = StorageCursor()
    assert [entry.id for entry in cursor.take(page("es1", "es1", "es1"))] == ["es1"]
    assert cursor.take(page("es1", "es1")) == []
    assert cursor.finished


def test_a_limit_of_size_counts_what_ended_experiments_share_and_nothing_else():
    def entry(name, ended, **size):
        return StorageEntry(id=name, kind="experiment", dt_ended=ended, **{"size": 0, "shared": 0, **size})

    old, new = entry("old", "2026-01-01T00:00:00Z", shared=600), entry("new", "2026-01-02T00:00:00Z", size=600)
    found = StorageList([entry("running", None, size=10**9), new, old, LEFT])
    assert entries_beyond(found, [parse_limit("2kB")], now=2e9) == []
    assert entries_beyond(found, [parse_limit("1kB")], now=2e9) == [old]
    assert entries_beyond(found, [], now=2e9) == [old, new]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB"), (10**18, "1000.0 PB")],
)
def test_sizes_have_three_digits_and_a_unit(count, text):
    assert size_text(count) == text


def test_a_removal_shows_itself():
    assert Removal(id="es1", is_done=True, freed=4096).pretty().splitlines()[-1].split() == ["freed", "4096"]
