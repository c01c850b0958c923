"""What a node prints, cut into rows."""

import re
import tracemalloc
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG
from hypothesis import example, given
from hypothesis import strategies as st

from gradient_server.runners.process.output import LONGEST_ROW, RowCutter

# What is hard to cut: ends of lines, parts of characters, and what looks like the end of a log.
PIECES = [
    b"a",
    b"50%",
    b"\n",
    b"\r",
    b"\r\n",
    "ä€😀".encode(),
    b"\xe2\x82",
    b"\xf0\x9f",
    b"\xff",
    b"\0",
    b"PSEOF",
    b" ",
]
PIECES += [b"x" * (LONGEST_ROW - 1), b"y" * LONGEST_ROW]
printed = st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=12).map(b"".join)


def rows_of(*chunks):
    cutter = RowCutter()
    return [row for chunk in chunks for row in cutter.feed(chunk)] + cutter.end()


def expected_rows(data):
    """The rule in other words: by one regular expression, all at once."""
    parts = re.split("(\r\n|\n|\r)", data.decode("utf-8", "replace"))
    rows = [
        line[begin : begin + LONGEST_ROW]
        for line, end in zip(parts[::2], [*parts[1::2], "\r"], strict=True)
        if line or end != "\r"
        for begin in range(0, max(1, len(line)), LONGEST_ROW)
    ]
    return [f"{row} " if row == END_OF_LOG else row for row in rows]


@given(printed)
@example(b"one\r\rtwo\r\r\nthree\r\n\n\r")
def test_rows_are_what_ends_of_lines_make_of_the_text(data):
    """All at once, the rows are those that a plain description of the rule gives."""
    assert rows_of(data) == expected_rows(data)


@given(printed, st.lists(st.integers(0, 1000), max_size=8))
@example(b"one\r\n\ntwo", [4])
@example(b"\xe2\x82\xac", [1, 2])
def test_chunks_make_no_difference(data, cuts):
    """However the bytes are cut into chunks, the rows are the same."""
    places = sorted({0, len(data), *(cut * len(data) // 1000 for cut in cuts)})
    assert rows_of(*(data[begin:end] for begin, end in pairwise(places))) == rows_of(data)


def test_single_bytes_make_no_difference():
    """Byte by byte the rows are the same, too."""
    data = "a\r\nb\n\nc\rd\r\r\n\r\n50%\r60%\r\nPSEOF\n€😀".encode() + b"\xf0\x9f\n\xe2\r\n"
    assert rows_of(*(data[place : place + 1] for place in range(len(data)))) == rows_of(data) == expected_rows(data)


def test_rows_come_as_soon_as_they_end():
    """A row is there with its end, also where `\\r` may be half of an end."""
    cutter = RowCutter()
    assert cutter.feed(b"50%\r") == ["50%"]
    assert cutter.feed(b"\nnext") == []
    assert cutter.has_begun
    assert cutter.feed(b"\n") == ["next"]
    assert not cutter.has_begun


@pytest.mark.parametrize("end", [[b"\n"], [b"\r\n"], [b"\r", b"\n"], [b"\r"]])
def test_what_was_shown_is_not_ended_again(end):
    """After a prompt was shown as a row of its own, the end of its line makes no empty row."""
    cutter = RowCutter()
    assert cutter.feed(b"Name? ") == []
    assert cutter.show() == ["Name? "]
    assert cutter.show() == []
    assert [row for chunk in end for row in cutter.feed(chunk)] == []
    assert cutter.feed(b"next\n\n") == ["next", ""]


def test_what_was_shown_goes_on_in_the_next_row():
    """Dots that stand still for a while go on in a row of their own."""
    cutter = RowCutter()
    assert cutter.feed(b"..") == []
    assert cutter.show() == [".."]
    assert cutter.feed(b"..\n") == [".."]


@pytest.mark.parametrize("ends", [b"\n", b"\r", b""])
def test_no_row_ends_the_log(ends):
    """A command that prints the end marker cannot end its log with it."""
    assert rows_of(END_OF_LOG.encode() + ends) == [f"{END_OF_LOG} "]


def test_memory_is_bounded_for_lines_of_many_megabytes():
    """A line of 64 MB, and as much of nothing but `\\r`, takes no more memory than a few rows."""
    cutter, most = RowCutter(), 0
    tracemalloc.start()
    try:
        for chunk in (b"x" * LONGEST_ROW, b"\r" * LONGEST_ROW):
            for _ in range(500):
                cutter.feed(chunk)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 40 * LONGEST_ROW
