"""A terminal for tests: what a program writes to it, and what is on its screen."""

import contextlib
import os
import pty
import re
import threading

_PIECE = re.compile(r"\x1b\[(\?)?(\d*)(?:;\d+)*([a-zA-Z])|(\r)|(\n)|([^\x1b\r\n]+)")


class Terminal:
    """A pseudo terminal.

    :ivar int end: the file descriptor for programs
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
        """Everything that was written, control sequences included."""
        return self._written.decode(errors="replace")

    @property
    def screen(self):
        """The lines on the screen, without empty ones at its end."""
        return screen_of(self.written)

    def wait_for(self, pattern, seconds=10):
        """Wait until a pattern has been written."""
        with self._changed:
            assert self._changed.wait_for(lambda: re.search(pattern, self.written), timeout=seconds), self.written

    def type(self, text):
        """Type a text, as a person at the keyboard."""
        os.write(self._ours, text.encode())

    @contextlib.contextmanager
    def printed_to(self):
        """Redirect stdout and stderr of this process to the terminal."""
        with (
            open(self.end, "w", encoding="utf-8", buffering=1, closefd=False) as stream,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            yield

    def close(self):
        """Close it after reading everything that was written."""
        os.close(self.end)
        self._reader.join(10)
        os.close(self._ours)


def screen_of(written):
    """Return the lines on the screen after the output: cursor movements and erased lines; colours are ignored."""
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
            assert number == "2", f"unsupported control sequence: {number}K"
            lines[row] = ""
        else:
            assert does == "m" or (private and does in "hl"), f"unsupported control sequence: {does}"
    return "\n".join(lines).rstrip("\n").split("\n")
