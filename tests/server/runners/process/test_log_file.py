"""The log of one node in a file: written by one process, read by others meanwhile."""

import os
import threading
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.process.log_file import BLOCK, LogReader, LogWriter
from tests.server.runners.process.conftest import room_for

HARD = ["", "\0\x1b[31m\x7f", '"\\', "\u2028\x85", "ä😀\ufffd", "x" * 2 * BLOCK]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "0.log"


def test_rows_come_back_as_they_were_written(path):
    """Text, time and numbering survive, whatever is in the text."""
    LogWriter(path).write(1700000000.25, HARD)
    assert list(LogReader(path).after(0)) == [(line, 1700000000.25, text) for line, text in enumerate(HARD, 1)]
    assert LogReader(path).count() == len(HARD)


def test_the_file_is_its_owners_alone(path):
    """Logs can hold what others are not to see."""
    LogWriter(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_nothing_was_written_there_are_no_rows(path):
    """A reader can be there before the writer."""
    reader = LogReader(path)
    assert (list(reader.after(0)), list(reader.after(7)), reader.count()) == ([], [], 0)
    LogWriter(path).write(1, ["one"])
    assert (list(reader.after(0)), list(reader.after(7)), reader.count()) == ([(1, 1.0, "one")], [], 1)


@given(st.data())
def test_reading_goes_on_from_any_line_while_rows_come(tmp_path_factory, data):
    """From any line, in any order, readers that came early or late find the same rows, across all blocks."""
    path = tmp_path_factory.mktemp("log") / "0.log"
    writer, reader, rows = LogWriter(path), LogReader(path), []
    for _ in range(data.draw(st.integers(1, 6))):
        texts = [
            f"{len(rows)}" + "-" * size for size in data.draw(st.lists(st.sampled_from([0, 5, BLOCK // 3, BLOCK])))
        ]
        if texts:
            writer.write(len(rows), texts)
        rows += [(len(rows) + place, float(len(rows)), text) for place, text in enumerate(texts, 1)]
        line = data.draw(st.integers(0, len(rows) + 1))
        limit = data.draw(st.integers(0, 5))
        assert list(islice(reader.after(line), limit)) == rows[line:][:limit]
        assert list(LogReader(path).after(line)) == rows[line:]
        assert reader.count() == len(rows)
    writer.close()


def test_a_torn_last_row_is_not_there(path):
    """What a writer that was killed has left of a row is no row; those before it are."""
    LogWriter(path).write(1, ["one", "two"])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        reader = LogReader(path)
        complete = whole[:length].count(b"\n")
        assert [text for _, _, text in reader.after(0)] == ["one", "two"][:complete]
        assert reader.count() == complete


def test_a_row_is_in_the_file_when_it_was_written(path):
    """Nothing is held back in the memory of the writer, which may be killed."""
    LogWriter(path).write(1, ["one"])
    assert path.read_bytes() == b'[1.000000,"one"]\n'


def test_long_logs_are_read_without_reading_what_comes_before(path):
    """The last rows of a long log are found at once when the log has been read before."""
    writer = LogWriter(path)
    for number in range(100):
        writer.write(number, [f"{number}-{row}" for row in range(5000)])
    reader = LogReader(path)
    assert reader.count() == 500_000
    with path.open("r+b") as file:
        # Whoever reads the beginning finds no rows.
        file.write(b"\n" * 1000)
    assert list(reader.after(499_999)) == [(500_000, 99.0, "99-4999")]
    assert [text for _, _, text in islice(reader.after(250_000), 2)] == ["50-0", "50-1"]


def test_a_few_rows_are_read_without_reading_what_comes_after(path):
    """Who reads the logs of many nodes at once does not wait for all that is in a block of each."""
    LogWriter(path).write(1, [f"row {number}" for number in range(1, 1001)])
    reader = LogReader(path)
    assert reader.count() == 1000
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + whole[2000:].replace(b'"row', b"wrong"))
    assert [text for _, _, text in islice(reader.after(0), 2)] == ["row 1", "row 2"]
    assert [text for _, _, text in islice(reader.after(10), 1)] == ["row 11"]


def test_several_threads_can_read_at_once(path):
    """Each finds all rows in order, while they are written."""
    writer, reader, wrong = LogWriter(path), LogReader(path), []

    def follow():
        line = 0
        while line < 20_000:
            for found, _, text in islice(reader.after(line), 700):
                line += 1
                if (found, text) != (line, f"row {line}"):
                    wrong.append((found, text, line))
            reader.count()

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for begin in range(1, 20_000, 100):
        writer.write(0, [f"row {line}" for line in range(begin, begin + 100)])
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_full_disk_is_told(path):
    """What cannot be kept is an error, not a gap."""
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a device that is always full")
    os.symlink("/dev/full", path)
    with pytest.raises(OSError, match="No space"):
        LogWriter(path).write(1, ["one"])


@pytest.mark.parametrize("room", [0, 1, 10, 30])
def test_a_row_that_fits_in_part_is_told(path, room):
    """As one that does not fit at all; those before it can be read, and it does not count."""
    writer = LogWriter(path)
    writer.write(1, ["one"])
    with pytest.raises(OSError, match=r"No space left|File too large"), room_for(path.stat().st_size + room):
        writer.write(2, ["two" * 10])
    assert writer.count == 1
    assert [text for _, _, text in LogReader(path).after(0)] == ["one"]


def test_of_rows_that_fit_in_part_those_that_are_whole_count(path):
    """The number that comes next is one that no row has, and a later row is not a part of the torn one."""
    writer = LogWriter(path)
    with pytest.raises(OSError, match=r"No space left|File too large"), room_for(70):
        writer.write(1, [f"row {number}" for number in range(9)])
    reader = LogReader(path)
    assert 0 < writer.count == reader.count() < 9
    writer.write(2, ["and on"])
    rows = [text for _, _, text in LogReader(path).after(0)]
    assert rows == [*(f"row {number}" for number in range(writer.count - 1)), "and on"]
    assert reader.count() == writer.count
