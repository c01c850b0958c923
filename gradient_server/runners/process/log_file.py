"""The log of one node in a file: one row a line, as JSON, only ever added to.

One process writes it, others read it meanwhile. Readers keep no rows: they remember where in the file some lines are.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from attrs import define, field

BLOCK = 64 * 1024
"""How many bytes are read at once, and how far apart the places are that a reader remembers, at the least."""
_PARSED_AT_ONCE = 32

_encode = json.JSONEncoder(ensure_ascii=False).encode


class LogWriter:
    """Adds rows to the log of a node. All that it was given is in the file when it returns.

    :param Path path: where the log is
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.count = 0
        """How many rows it has written."""

    def write(self, real: float, messages: Sequence[str]) -> None:
        """Add rows that were read at a moment of real time.

        :raises OSError: they cannot be kept, say because the disk is full; the first ones may be in the file
        """
        begin = f"[{real:.6f},"
        data = "".join([f"{begin}{_encode(message)}]\n" for message in messages]).encode()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            self._keep_whole_rows(data[:written])
            raise
        self.count += len(messages)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _keep_whole_rows(self, written: bytes) -> None:
        # They can have been read: the next number, be it that of the marker, must not be one of theirs.
        self.count += written.count(b"\n")
        if torn := len(written) - written.rfind(b"\n") - 1:
            os.ftruncate(self._file, os.fstat(self._file).st_size - torn)


@define
class _Places:
    """Where in the file some lines begin: after how many rows, at which byte. The first entry is its beginning."""

    rows: list[int] = field(factory=lambda: [0])
    bytes: list[int] = field(factory=lambda: [0])

    def before(self, line: int) -> tuple[int, int]:
        """Give the last place that has no more than so many rows before it."""
        place = bisect_right(self.rows, line) - 1
        return self.rows[place], self.bytes[place]

    def add(self, rows: int, offset: int) -> None:
        if offset - self.bytes[-1] >= BLOCK:
            self.rows.append(rows)
            self.bytes.append(offset)


class LogReader:
    """Reads the log of a node while it is written. Safe to use from several threads.

    What comes after the last end of a line is not there yet; after a crash it never will be.

    :param Path path: where the log is; there may be none yet
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: int | None = None
        """How many bytes of it are shown; None: all that are there."""
        self._lock = threading.Lock()
        self._places = _Places()
        self._rows = 0
        self._bytes = 0

    def count(self) -> int:
        """Say how many rows there are; what was counted before is not read again."""
        with self._lock, _opened(self.path) as file:
            self._read_on(file)
            return self._rows

    def after(self, line: int) -> Iterator[tuple[int, float, str]]:
        """Give the rows after a line that are there, one by one: line, moment of real time, message."""
        with _opened(self.path) as file:
            with self._lock:
                if line > self._rows:
                    self._read_on(file)
                if line > self._rows:
                    return
                rows, offset = self._places.before(line)
                known = self._rows, self._bytes
            if known[0] == line:
                rows, offset = known
            left = b""
            while chunk := self._chunk(file, offset):
                offset += len(chunk)
                *lines, left = (left + chunk).split(b"\n")
                yield from _parsed(lines[max(0, line - rows) :], max(line, rows) + 1)
                rows += len(lines)

    def _chunk(self, file: int, offset: int) -> bytes:
        size = BLOCK if self.shown is None else min(BLOCK, max(0, self.shown - offset))
        return os.pread(file, size, offset)

    def _read_on(self, file: int) -> None:
        offset = self._bytes
        while chunk := self._chunk(file, offset):
            offset += len(chunk)
            rows = chunk.count(b"\n")
            if rows:
                self._rows += rows
                self._bytes = offset - len(chunk) + chunk.rindex(b"\n") + 1
                self._places.add(self._rows, self._bytes)


def _parsed(lines: list[bytes], first: int) -> Iterator[tuple[int, float, str]]:
    # Not all at once: who reads the logs of many nodes wants a few rows of each.
    for begin in range(0, len(lines), _PARSED_AT_ONCE):
        some = lines[begin : begin + _PARSED_AT_ONCE]
        for line, (real, message) in enumerate(json.loads(b"[%b]" % b",".join(some)), first + begin):
            yield line, real, message


@contextlib.contextmanager
def _opened(path: Path) -> Generator[int, None, None]:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # Nothing has been written yet, or all is removed: it reads like an empty file.
        file = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
