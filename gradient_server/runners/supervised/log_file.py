"""The log of one node: output is split into rows, which one process appends to a file and others read meanwhile.

The file has one row a line, as a JSON array of the time and the text. Readers keep no rows in memory: they remember the
offsets of some lines.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import json
import os
import stat
import threading
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from gradient_api.constants import END_OF_LOG

MAX_ROW_LENGTH = 64 * 1024
"""Characters; a longer line is split into several rows."""
BLOCK_SIZE = 64 * 1024
"""Bytes that are read at once, and the least distance between remembered offsets."""
LOST_ROW = "(this row of the log is lost)"
"""The message of a row that a power failure, a full disk or a command has damaged: the others keep their lines."""
_MAX_LINE_SIZE = 8 * MAX_ROW_LENGTH
"""Bytes; a row has six for each character at most."""
_LATEST = 2.5e11
"""Seconds since the epoch; dates end with the year 9999."""
_PARSED_AT_ONCE = 32
Columns = tuple[list[float], list[str]]
"""The times of some rows, in seconds since the epoch, and their messages."""

_encode = json.JSONEncoder(ensure_ascii=False).encode
_decode = json.JSONDecoder(parse_constant=lambda name: None).decode


class RowSplitter:
    r"""Splits the output of a node into rows, in bounded memory. The size of the chunks makes no difference.

    Output is decoded as UTF-8; invalid bytes become U+FFFD. A row ends with `\n` or `\r\n`. Text after a `\r` takes the
    place of what is before it, as on a terminal, so that a progress bar is one row with its last state. A row that
    equals the end marker of logs gets a space at its end.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # The last state of a line that has not ended, with a `\r` if that has followed it.
        self._partial = ""
        # Whether the line before the next line break was already returned.
        self._flushed = False
        self.is_redrawn = False
        """Whether the partial line is redrawn, as a progress bar is."""

    @property
    def has_partial_line(self) -> bool:
        """Whether there is text that no line break has followed yet."""
        return bool(_last_state(self._partial))

    def feed(self, chunk: bytes) -> list[str]:
        """Return the rows that are completed by a chunk."""
        return self._split(self._decoder.decode(chunk))

    def flush(self) -> list[str]:
        """Return the partial line as a row; text that follows begins a new row."""
        state, self._partial = _last_state(self._partial), ""
        self._flushed = self._flushed or bool(state)
        return _without_end_marker([state] if state else [])

    def close(self) -> list[str]:
        """Return the remaining rows, at the end of the output."""
        return self._split(self._decoder.decode(b"", final=True)) + self.flush()

    def _split(self, text: str) -> list[str]:
        *rows, rest = (self._partial + text).split("\n")
        self.is_redrawn = "\r" in rest or (self.is_redrawn and not rows)
        # Only for speed: most output has no `\r`, and rows are short.
        if "\r" in self._partial or "\r" in text or max(map(len, rows), default=0) > MAX_ROW_LENGTH:
            rows = [row for line in rows for row in _states(line)]
        if rows and self._flushed:
            self._flushed = False
            rows = rows[not rows[0] :]
        *full, state = _states(rest)
        self._partial = f"{state}\r" if rest.endswith("\r") else state
        return _without_end_marker(rows + full)


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


def _states(line: str) -> list[str]:
    """Return the last state of a line, after the parts of states that are too long for a row."""
    if len(line) <= MAX_ROW_LENGTH:
        return [_last_state(line)]
    long = (state for state in line.split("\r") if len(state) > MAX_ROW_LENGTH)
    full = [piece for state in long for piece in _pieces(state)[:-1]]
    return [*full, _pieces(_last_state(line))[-1]]


def _pieces(text: str) -> list[str]:
    return [text[begin : begin + MAX_ROW_LENGTH] for begin in range(0, len(text), MAX_ROW_LENGTH)] or [""]


def _without_end_marker(rows: list[str]) -> list[str]:
    return [f"{row} " if row == END_OF_LOG else row for row in rows] if END_OF_LOG in rows else rows


class RowWriter(Protocol):
    """Takes the rows of a log, wherever that is."""

    def write(self, time: float, messages: Sequence[str]) -> None:
        """Append rows that were read at a time, in seconds since the epoch.

        :raises OSError: not all rows could be written
        """


def encode_rows(time: float, messages: Sequence[str]) -> bytes:
    """Return rows as they are in a log, which were read at a time, in seconds since the epoch."""
    prefix = f"[{time:.6f},"
    # Output has no surrogates, but a request may.
    return "".join([f"{prefix}{_encode(message)}]\n" for message in messages]).encode(errors="replace")


class LogWriter:
    """Appends rows to a log. They are in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.count = 0
        """How many rows were written."""

    def write(self, time: float, messages: Sequence[str]) -> None:
        """Append rows that were read at a time, in seconds since the epoch.

        :raises OSError: not all rows could be written, for example because the disk is full
        """
        self.append(encode_rows(time, messages))

    def append(self, data: bytes) -> None:
        """Append rows that are encoded already.

        :raises OSError: not all rows could be written, for example because the disk is full
        """
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            self._keep_complete_rows(data[:written])
            raise
        self.count += data.count(b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _keep_complete_rows(self, written: bytes) -> None:
        # Readers may have seen them, so that their line numbers, that of the end marker included, must not be reused.
        self.count += written.count(b"\n")
        if incomplete := len(written) - written.rfind(b"\n") - 1:
            os.ftruncate(self._file, os.fstat(self._file).st_size - incomplete)


class LogReader:
    """Reads a log while it is written. Safe to use from several threads.

    An incomplete last line is ignored, and one that is damaged becomes `LOST_ROW`. The file need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.visible_size: int | None = None
        """How many bytes of the file are read; None: all."""
        self._lock = threading.Lock()
        self._count = 0
        self._size = 0
        # The index: the offsets of some lines, by the number of rows before them.
        self._rows = [0]
        self._offsets = [0]

    def count(self) -> int:
        """Return the number of rows. What was counted before is not read again."""
        with self._lock, _open(self.path) as file:
            self._read_on(file)
            return self._count

    def after(self, line: int) -> Iterator[tuple[int, float, str]]:
        """Yield the rows after a line: line, time in seconds since the epoch, message."""
        for times, messages in self.columns_after(line):
            yield from zip(range(line + 1, line + 1 + len(times)), times, messages, strict=True)
            line += len(times)

    def columns_after(self, line: int) -> Iterator[Columns]:
        """Yield the rows after a line, a few at a time: a reader of many logs takes a few rows of each."""
        with _open(self.path) as file:
            with self._lock:
                if line > self._count:
                    self._read_on(file)
                if line > self._count:
                    return
                rows, offset = self._position_before(line)
            rest, latest = b"", os.fstat(file).st_mtime
            while chunk := self._read(file, offset):
                offset += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                # After a power failure there may be any number of zeros.
                rest = rest.lstrip(b"\0")[:_MAX_LINE_SIZE]
                for columns in _parse(lines[max(0, line - rows) :], latest):
                    latest = columns[0][-1]
                    yield columns
                rows += len(lines)

    def _position_before(self, line: int) -> tuple[int, int]:
        if line == self._count:
            return self._count, self._size
        place = bisect_right(self._rows, line) - 1
        return self._rows[place], self._offsets[place]

    def _read(self, file: int, offset: int) -> bytes:
        size = BLOCK_SIZE if self.visible_size is None else min(BLOCK_SIZE, max(0, self.visible_size - offset))
        try:
            return os.pread(file, size, offset)
        except OSError:  # the disk is damaged
            return b""

    def _read_on(self, file: int) -> None:
        offset = self._size
        while chunk := self._read(file, offset):
            offset += len(chunk)
            rows = chunk.count(b"\n")
            if not rows:
                continue
            self._count += rows
            self._size = offset - len(chunk) + chunk.rindex(b"\n") + 1
            if self._size - self._offsets[-1] >= BLOCK_SIZE:
                self._rows.append(self._count)
                self._offsets.append(self._size)


def _parse(lines: list[bytes], latest: float) -> Iterator[Columns]:
    for begin in range(0, len(lines), _PARSED_AT_ONCE):
        some = lines[begin : begin + _PARSED_AT_ONCE]
        columns = _columns(some) or _columns_with_gaps(some, latest)
        latest = columns[0][-1]
        yield columns


def _columns(lines: list[bytes]) -> Columns | None:
    """Return the rows of some lines, or None if any of them is damaged."""
    try:
        rows = _decode(f"[{b','.join(lines).decode()}]")
        # Fast, because it is done for every row that is read.
        times, messages = [written for written, _ in rows], [message for _, message in rows]
        "".join(messages)  # raises a TypeError if one is no text
        is_valid = len(rows) == len(lines) and min(times) >= 0 and max(times) < _LATEST
    except (ValueError, TypeError, RecursionError):
        return None
    return (times, messages) if is_valid else None


def _columns_with_gaps(lines: list[bytes], latest: float) -> Columns:
    """Return the rows of some lines, of which any may be damaged; these have the time of the one before."""
    times: list[float] = []
    messages: list[str] = []
    for line in lines:
        (latest,), (message,) = _columns([line.lstrip(b"\0")]) or ([latest], [LOST_ROW])
        times.append(latest)
        messages.append(message)
    return times, messages


@contextlib.contextmanager
def _open(path: Path) -> Generator[int, None, None]:
    try:
        file = open_file(path)
    except (FileNotFoundError, NotAFileError, PermissionError, NotADirectoryError):
        # Not written yet, or removed or replaced by a command: it reads like an empty file.
        file = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


class NotAFileError(OSError):
    """There is something else than a file, for example a pipe."""


def open_file(path: Path) -> int:
    """Open a file of a run to read it. Commands may have put something else in its place: nobody waits for it.

    :raises NotAFileError: it is no file
    :raises OSError: it cannot be opened
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise NotAFileError(errno.EINVAL, "it is no file", str(path))
