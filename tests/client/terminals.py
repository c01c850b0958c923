"""Terminals for tests: what a program writes to one, and what of it a person sees."""

import contextlib
import os
import pty
import re
import threading

_PIECE = re.compile(r"\x1b\[(\?)?(\d*)(?:;\d+)*([a-zA-Z])|(\r)|(\n)|([^\x1b\r\n]+)")


class Terminal:
    """A terminal that is read all the time.

    :ivar int end: the end for programs, a file descriptor
    """

    def __init__(self):
        self._ours, self.end = pty.openpty()
        self._written = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                piece = os.read(self._ours, 4096)
            except OSError:  # Nobody has the other end open any more.
                piece = b""
            if not piece:
                return
            with self._changed:
                self._written += piece
                self._changed.notify_all()

    @property
    def written(self):
        """All that was written, with what moves and colours."""
        return self._written.decode(errors="replace")

    @property
    def screen(self):
        """The lines that are to be seen, without those at the end that are empty."""
        return screen_of(self.written)

    def wait_for(self, pattern, seconds=10):
        """Wait until something has been written."""
        with self._changed:
            assert self._changed.wait_for(lambda: re.search(pattern, self.written), timeout=seconds), self.written

    @contextlib.contextmanager
    def printed_to(self):
        """Let this process print there."""
        with (
            open(self.end, "w", encoding="utf-8", buffering=1, closefd=False) as stream,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            yield

    def close(self):
        """Close it, when all that was written has been read."""
        os.close(self.end)
        self._reader.join(10)
        os.close(self._ours)


def screen_of(written):
    """Do what is written as a terminal does it: the cursor, lines that are erased; colours are left out."""
    lines, row, column = [""], 0, 0
    for private, number, does, back, down, text in _PIECE.findall(written):
        if back:
            column = 0
        elif down:
            row += 1
            lines += [""] * (row == len(lines))
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif does == "A":
            row -= int(number or 1)
        elif does == "K":
            assert number == "2", f"unknown to this terminal: {number}K"
            lines[row] = ""
        else:
            assert does == "m" or (private and does in "hl"), f"unknown to this terminal: {does}"
    return "\n".join(lines).rstrip("\n").split("\n")
