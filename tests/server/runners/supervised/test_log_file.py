"""The log of one node: output becomes rows, which one process writes to a file and others read meanwhile."""

import os
import threading
import tracemalloc
from itertools import islice, pairwise

import pytest
from gradient_api.constants import END_OF_LOG
from hypothesis import example, given
from hypothesis import strategies as st

from gradient_server.runners.supervised.log_file import BLOCK_SIZE, LogReader, LogWriter, RowSplitter
from tests.server.runners.conftest import limit_file_size

MAX_ROW_LENGTH = 64 * 1024
# Line breaks, parts of characters, and what looks like the end of a log.
PIECES = [b"a", b"50%", b"\n", b"\r", b"\r\n", b"\xe2\x82", b"\xf0\x9f", b"\xff", b"\0", b"PSEOF", b" "]
PIECES += ["ä€😀".encode(), b"x" * (MAX_ROW_LENGTH - 1), b"y" * MAX_ROW_LENGTH]
output = st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=12).map(b"".join)
EDGE_CASES = ["", "\0\x1b[31m\x7f", '"\\', "\u2028\x85", "ä😀\ufffd", "x" * 2 * BLOCK_SIZE]


def rows_of(*chunks):
    splitter = RowSplitter()
    return [row for chunk in chunks for row in splitter.feed(chunk)] + splitter.close()


def expected_rows(data):
    """The same rule, over the whole output."""
    *lines, rest = data.decode("utf-8", "replace").split("\n")
    rows = []
    for line in [*lines, rest] if rest.strip("\r") else lines:
        states = [
            [state[at : at + MAX_ROW_LENGTH] for at in range(0, len(state), MAX_ROW_LENGTH)] or [""]
            for state in line.split("\r")
        ]
        rows += [piece for *full, _ in states for piece in full]
        rows.append(next((last for *_, last in reversed(states) if last), ""))
    return [f"{row} " if row == END_OF_LOG else row for row in rows]


@given(output)
@example(b"one\r\rtwo\r\r\nthree\r\n\n\r")
@example(b"PSEOF\nPSEOF\rPSEOF")
def test_output_is_split_at_line_breaks(data):
    """`\\n` and `\\r\\n` end a row, `\\r` redraws it, long lines are split, and no row equals the end marker."""
    assert rows_of(data) == expected_rows(data)


@given(output, st.lists(st.integers(0, 1000), max_size=8))
@example(b"one\r\n\ntwo", [450])
@example(b"\xe2\x82\xac", [340, 670])
@example("a\r\nb\n\nc\rd\r\r\n\r\n50%\r60%\r\nPSEOF\n€😀".encode() + b"\xf0\x9f\n\xe2\r\n", list(range(0, 1000, 10)))
def test_chunks_make_no_difference(data, cuts):
    """However the output is cut into chunks, the rows are the same."""
    places = sorted({0, len(data), *(cut * len(data) // 1000 for cut in cuts)})
    assert rows_of(*(data[begin:end] for begin, end in pairwise(places))) == rows_of(data)


def test_a_row_is_returned_as_soon_as_it_ends():
    splitter = RowSplitter()
    assert splitter.feed(b"one\r\ntwo") == ["one"]
    assert splitter.has_partial_line
    assert splitter.feed(b"\n") == ["two"]
    assert not splitter.has_partial_line


@pytest.mark.parametrize("bar", [b"\r%d%%|#", b"%d%%|#\r", b"\r\r%d%%|#\r", b"\x08\x08\r%d%%|#"])
def test_a_progress_bar_is_one_row_with_its_last_state(bar):
    drawn = b"".join(bar % percent for percent in range(101))
    assert rows_of(b"begun\n", drawn, b"\n", drawn + b"\nended\n") == ["begun", "100%|#", "100%|#", "ended"]
    assert rows_of(drawn) == ["100%|#"]


def test_a_progress_bar_that_is_flushed_goes_on_in_another_row():
    splitter = RowSplitter()
    splitter.feed(b"\r10%\r20%")
    assert (splitter.is_redrawn, splitter.flush()) == (True, ["20%"])
    splitter.feed(b"\r30%\r")
    assert (splitter.is_redrawn, splitter.flush()) == (True, ["30%"])
    assert splitter.feed(b"\nnext") == []
    assert not splitter.is_redrawn
    assert splitter.flush() == ["next"]


@pytest.mark.parametrize("end", [[b"\n"], [b"\r\n"], [b"\r", b"\n"], [b"\r"]])
def test_the_line_break_after_a_flushed_partial_line_makes_no_empty_row(end):
    """A prompt is a row, and the answer begins a new one."""
    splitter = RowSplitter()
    assert splitter.feed(b"Name? ") == []
    assert splitter.flush() == ["Name? "]
    assert splitter.flush() == []
    assert [row for chunk in end for row in splitter.feed(chunk)] == []
    assert splitter.feed(b"next\n\n") == ["next", ""]


def test_text_after_a_flushed_partial_line_begins_a_new_row():
    """Progress dots go on in the next row."""
    splitter = RowSplitter()
    assert splitter.feed(b"..") == []
    assert splitter.flush() == [".."]
    assert splitter.feed(b"..\n") == [".."]


def test_splitting_lines_of_many_megabytes_takes_little_memory():
    """A line of 32 MB, and as many `\\r`, take no more than a few rows do."""
    splitter = RowSplitter()
    tracemalloc.start()
    try:
        for chunk in (b"x" * MAX_ROW_LENGTH, b"\r" * MAX_ROW_LENGTH):
            for _ in range(500):
                splitter.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * MAX_ROW_LENGTH


@pytest.fixture
def path(tmp_path):
    return tmp_path / "0.log"


def test_rows_are_read_as_they_were_written(path):
    """Text, time and line survive, whatever the text is."""
    LogWriter(path).write(1700000000.25, EDGE_CASES)
    assert list(LogReader(path).after(0)) == [(line, 1700000000.25, text) for line, text in enumerate(EDGE_CASES, 1)]
    assert LogReader(path).count() == len(EDGE_CASES)


def test_a_written_row_is_in_the_file_which_only_its_owner_can_read(path):
    """No row is buffered in a process that may be killed."""
    LogWriter(path).write(1, ["one"])
    assert path.read_bytes() == b'[1.000000,"one"]\n'
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_log_has_no_rows(path):
    """A reader may be there before the writer."""
    reader = LogReader(path)
    assert (list(reader.after(0)), list(reader.after(7)), reader.count()) == ([], [], 0)
    LogWriter(path).write(1, ["one"])
    assert (list(reader.after(0)), list(reader.after(7)), reader.count()) == ([(1, 1.0, "one")], [], 1)


@given(st.data())
def test_rows_are_read_after_any_line_while_others_are_written(tmp_path_factory, data):
    """Old and new readers find the same rows, in any order of lines, across all blocks."""
    path = tmp_path_factory.mktemp("log") / "0.log"
    writer, reader, rows = LogWriter(path), LogReader(path), []
    sizes = st.lists(st.sampled_from([0, 5, BLOCK_SIZE // 3, BLOCK_SIZE]))
    for _ in range(data.draw(st.integers(1, 6))):
        texts = [f"{len(rows)}" + "-" * size for size in data.draw(sizes)]
        if texts:
            writer.write(len(rows), texts)
        rows += [(len(rows) + place, float(len(rows)), text) for place, text in enumerate(texts, 1)]
        line = data.draw(st.integers(0, len(rows) + 1))
        limit = data.draw(st.integers(0, 5))
        assert list(islice(reader.after(line), limit)) == rows[line:][:limit]
        assert list(LogReader(path).after(line)) == rows[line:]
        assert reader.count() == len(rows)
    writer.close()


def test_an_incomplete_last_row_is_ignored(path):
    """As a writer that was killed may leave it."""
    LogWriter(path).write(1, ["one", "two"])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        reader = LogReader(path)
        complete = whole[:length].count(b"\n")
        assert [text for _, _, text in reader.after(0)] == ["one", "two"][:complete]
        assert reader.count() == complete


@pytest.mark.parametrize(
    "damaged",
    [
        b"\0" * 100,
        b"",
        b"\xff\xfe",
        b"no row",
        b"1",
        b"{}",
        b'{"a":1,"b":2}',
        b"[2.0]",
        b"[2.0,3]",
        b'["a","b"]',
        b'[2.0,"a","b"]',
        b'[2.0,"a"],[2.0,"b"]',
        b"[" * 100_000,
        b'[2.0,"\xed\xa0\x80"]',
        b'[NaN,"a"]',
        b'[1e999,"a"]',
        b'[9e11,"a"]',
        b'[-1.0,"a"]',
        b"x" * 10_000_000,
    ],
    ids=range(19),
)
def test_a_damaged_row_keeps_its_line_and_spoils_no_other(path, damaged):
    """As after a power failure, or when its command has written to it."""
    writer = LogWriter(path)
    writer.write(1, ["one"])
    path.write_bytes(path.read_bytes() + damaged + b"\n")
    writer.write(3, ["three"])
    lost = (2, 1.0, "(this row of the log is lost)")
    for _ in range(2):
        reader = LogReader(path)
        assert list(reader.after(0)) == [(1, 1.0, "one"), lost, (3, 3.0, "three")]
        assert list(reader.after(2)) == [(3, 3.0, "three")]
        assert reader.count() == 3


def test_a_row_that_is_cut_in_two_is_lost_twice(path):
    """Its halves would be a row again if they were parsed together."""
    path.write_bytes(b'[1.0,"a\nb"]\n[1.0,"next"]\n')
    assert [text for _, _, text in LogReader(path).after(0)] == [*["(this row of the log is lost)"] * 2, "next"]
    assert [written > 1e9 for _, written, _ in LogReader(path).after(0)] == [True, True, False]  # that of the file


def test_a_row_after_zeros_is_read_in_little_memory(path):
    """After a power failure, a file may have the size that it should have, and zeros."""
    path.touch()
    os.truncate(path, 763 * BLOCK_SIZE - 5)  # the row is in two blocks
    LogWriter(path).write(1, ["one"])
    tracemalloc.start()
    try:
        assert list(LogReader(path).after(0)) == [(1, 1.0, "one")]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_reads_like_an_empty_log(path, make):
    """Nobody waits for somebody who writes to a pipe."""
    make(path)
    reader = LogReader(path)
    assert (list(reader.after(0)), list(reader.after(7)), reader.count()) == ([], [], 0)


def test_a_log_is_not_written_through_a_link(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LogWriter(path)
    assert not (tmp_path / "elsewhere").exists()


def test_what_cannot_be_encoded_is_replaced(path):
    """Output cannot have that, but the parameters in the first row may."""
    LogWriter(path).write(1, ["a\ud800", "b"])
    assert [text for _, _, text in LogReader(path).after(0)] == ["a?", "b"]


def test_the_end_of_a_long_log_is_read_without_its_beginning(path):
    """Readers remember the offsets of lines."""
    writer = LogWriter(path)
    for number in range(100):
        writer.write(number, [f"{number}-{row}" for row in range(5000)])
    reader = LogReader(path)
    assert reader.count() == 500_000
    with path.open("r+b") as file:
        file.write(b"\n" * 1000)  # the beginning is no log any more
    assert list(reader.after(499_999)) == [(500_000, 99.0, "99-4999")]
    assert [text for _, _, text in islice(reader.after(250_000), 2)] == ["50-0", "50-1"]


def test_a_few_rows_are_read_without_parsing_those_that_follow(path):
    """Readers of many logs take a few rows of each."""
    LogWriter(path).write(1, [f"row {number}" for number in range(1, 101)])
    with path.open("a") as file:  # rows that take much more memory than room on the disk
        file.write(f"[1.000000,[{'[],' * 1000}[]]]\n" * 18)
    reader = LogReader(path)
    assert reader.count() == 118
    tracemalloc.start()
    try:
        assert [text for _, _, text in islice(reader.after(0), 2)] == ["row 1", "row 2"]
        assert [text for _, _, text in islice(reader.after(10), 1)] == ["row 11"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_several_threads_read_while_rows_are_written(path):
    """Each of them finds all rows, in order."""
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


@pytest.mark.parametrize("room", [0, 1, 30, 70])
def test_rows_that_fit_only_in_part_are_an_error(path, room):
    """Complete rows count, so that no later row gets their lines; nothing is appended to an incomplete one."""
    writer = LogWriter(path)
    with pytest.raises(OSError, match=r"No space left|File too large"), limit_file_size(room):
        writer.write(1, [f"row {number}" for number in range(9)])
    reader = LogReader(path)
    assert writer.count == reader.count() == room // len('[1.000000,"row 0"]\n')
    writer.write(2, ["next"])
    assert b"\0" not in path.read_bytes()
    texts = [text for _, _, text in LogReader(path).after(0)]
    assert texts == [*(f"row {number}" for number in range(writer.count - 1)), "next"]
    assert reader.count() == writer.count
