"""A live line about an experiment, for terminals. It needs rich, which is imported here and nowhere else.

The line is there only while something is waited for. Whenever rows or states are handed out it is gone, so that what
others print, to whatever stream, begins on a line of its own, and a loop that is left leaves a terminal in order.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import ClassVar

from gradient_ext.notebook_line import NotebookLine
from gradient_ext.progress_text import line_text
from gradient_ext.text_tables import colored
from gradient_ext.watching import Watcher

try:
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "rich":
        raise
    raise ImportError(
        "progress=True needs rich, which is not installed: pip install 'gradient-experiments[progress]'"
    ) from None

_REFRESHES_PER_SECOND = 8
_ROOM_FOR_SPINNER = 2


def progress_line(handle: str) -> Watcher:
    """Give what shows the progress of an experiment where the program runs: in a notebook, or in front of stderr."""
    console = Console(stderr=True)
    return NotebookLine(handle) if console.is_jupyter else TerminalLine(handle, console)


class TerminalLine(Watcher):
    """A line with a spinner on stderr; where that is no terminal, a plain line for each new state.

    It goes when it is left, and stays with its last words when all went well: how it ended, and how long it took.
    A terminal has room for one line that moves. While it is taken, others say their states in plain lines above it.

    :param str handle: the experiment
    :param Console console: where it is
    """

    _moving: ClassVar[Live | None] = None
    # Python may close a generator that nobody has any more wherever it is, also in here.
    _writing: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, handle: str, console: Console) -> None:
        self._handle = handle
        self._began = time.monotonic()
        self._state: int | None = None
        self._row_count: int | None = None
        self._said: int | None = None
        self._live: Live | None = None
        self._console = console
        # What rich takes for a terminal can be a file, if the environment says so.
        self._moves = console.is_interactive and console.file.isatty()
        self._spinner = Spinner("dots" if console.encoding.startswith("utf") else "line")

    def __enter__(self) -> TerminalLine:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        if kind is None and self._moves:
            self._say()

    def show(self, state: int | None, row_count: int | None) -> None:
        """Show what is known, from now until `hide()`."""
        self._state, self._row_count = state, row_count
        if self._live is None and not (self._moves and self._start()):
            self._say()

    def hide(self) -> None:
        """Get out of the way of what others print."""
        self._stop()

    def _start(self) -> bool:
        with self._writing:
            if TerminalLine._moving is not None:
                return False
            self._live = TerminalLine._moving = Live(
                console=self._console,
                get_renderable=self._frame,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
                # Otherwise rows that are printed to stdout would come out of stderr.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
            return True

    def _stop(self) -> None:
        with self._writing:
            if self._live is not None:
                try:
                    self._live.stop()
                finally:
                    self._live = TerminalLine._moving = None

    def _say(self) -> None:
        with self._writing:
            if self._state != self._said:
                self._said = self._state
                below = TerminalLine._moving
                console = self._console if below is None else below.console
                console.print(self._text(), soft_wrap=True)

    def _text(self) -> Text:
        said = self._handle, self._state, self._row_count, time.monotonic() - self._began
        in_color = self._moves and not self._console.no_color
        return Text.from_ansi(line_text(*said, in_color=colored) if in_color else line_text(*said))

    def _frame(self) -> Spinner:
        text = self._text()
        text.truncate(max(1, self._console.width - _ROOM_FOR_SPINNER), overflow="ellipsis")
        self._spinner.update(text=text)
        return self._spinner
