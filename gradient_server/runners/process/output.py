"""What a node prints, cut into rows. No I/O: chunks of bytes go in, the texts of rows come out, in bounded memory."""

from __future__ import annotations

import codecs

from gradient_api.constants import END_OF_LOG

LONGEST_ROW = 64 * 1024
"""The most characters in a row; a longer line goes on in the next one."""


class RowCutter:
    r"""Cuts what one node prints into rows. How it is cut into chunks makes no difference.

    Text is UTF-8; what is not becomes U+FFFD. Rows end with `\n`, `\r\n` or `\r`; a `\r` with nothing before it ends
    none, as progress bars begin with it. A row that reads like the end marker of a log gets a space at its end.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""
        # What has been shown ends here, so that an end of line right behind it has nothing to end any more.
        self._returned = False
        self._shown = False

    @property
    def has_begun(self) -> bool:
        """Whether there is text that no end of line has come for."""
        return bool(self._begun)

    def feed(self, chunk: bytes) -> list[str]:
        """Take a chunk, and give the rows that it ends."""
        return self._cut(self._decoder.decode(chunk))

    def show(self) -> list[str]:
        """Give what has begun as a row of its own; what comes then goes on in the next one."""
        rows, self._begun = ([self._begun] if self._begun else []), ""
        self._shown = self._shown or bool(rows)
        return _safe(rows)

    def end(self) -> list[str]:
        """Give what is left when nothing comes any more."""
        return self._cut(self._decoder.decode(b"", final=True)) + self.show()

    def _cut(self, text: str) -> list[str]:
        text = self._without_ended(text)
        if not text:
            return []
        *lines, rest = (self._begun + text).replace("\r\n", "\n").split("\n")
        # Most text has no `\r` at all, and there can be a lot of it.
        rows = [row for line in lines for row in _updates(line)] if "\r" in text else lines
        *updates, self._begun = rest.split("\r")
        self._returned = bool(not self._begun and updates and updates[-1])
        return _safe(self._shortened([*rows, *filter(None, updates)]))

    def _without_ended(self, text: str) -> str:
        """Leave out what ends a row that has been given already."""
        if text and self._shown:
            self._shown = False
            if text.startswith("\r"):
                self._returned, text = True, text[1:]
            elif text.startswith("\n"):
                return text[1:]
        if text and self._returned:
            self._returned = False
            text = text.removeprefix("\n")
        return text

    def _shortened(self, rows: list[str]) -> list[str]:
        if len(self._begun) > LONGEST_ROW:
            *pieces, self._begun = _pieces(self._begun)
            rows = rows + pieces
        if max(map(len, rows), default=0) > LONGEST_ROW:
            return [piece for row in rows for piece in _pieces(row)]
        return rows


def _updates(line: str) -> list[str]:
    *updates, last = line.split("\r")
    return [*filter(None, updates), last]


def _pieces(text: str) -> list[str]:
    return [text[begin : begin + LONGEST_ROW] for begin in range(0, len(text), LONGEST_ROW)] or [""]


def _safe(rows: list[str]) -> list[str]:
    return [f"{row} " if row == END_OF_LOG else row for row in rows] if END_OF_LOG in rows else rows
