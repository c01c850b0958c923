"""A live line about an experiment, for terminals and notebooks. It needs rich, which is imported here and nowhere else.

The line is there only while something is waited for. Whenever rows or states are handed out it is gone, so that what
others print, to whatever stream, begins on a line of its own, and a loop that is left leaves a terminal in order.
"""

from __future__ import annotations

import threading
import time
from importlib.util import find_spec
from types import TracebackType
from typing import ClassVar

from gradient_ext.tables import tone_of
from gradient_ext.text_tables import colored
from gradient_ext.waiting_errors import state_word
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


def elapsed_text(seconds: float) -> str:
    """Write how long something has taken.

    >>> elapsed_text(31.9), elapsed_text(3723)
    ('0:31', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def line_text(handle: str, state: int | None, row_count: int | None, seconds: float, *, color: bool = False) -> str:
    """Write the line.

    :param bool color: whether the state is coloured, as it is in tables

    >>> line_text("es1", 4, 1, 31), line_text("es1", None, None, 0)
    ('es1 running, 0:31, 1 row', 'es1, 0:00')
    """
    if state is not None:
        word, tone = state_word(state), tone_of(state)
        handle = f"{handle} {colored(word, tone) if color and tone else word}"
    rows = "" if row_count is None else f", {row_count} row{'' if row_count == 1 else 's'}"
    return f"{handle}, {elapsed_text(seconds)}{rows}"


class ProgressLine(Watcher):
    """A line with a spinner on stderr; where that is no terminal, and no notebook, a plain line for each new state.

    It goes when it is left, and stays with its last words when all went well: how it ended, and how long it took.
    A terminal has room for one line that moves. While it is taken, others say their states in plain lines above it.

    :param str handle: the experiment
    """

    _moving: ClassVar[Live | None] = None
    # Python may close a generator that nobody has any more wherever it is, also in here.
    _writing: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, handle: str) -> None:
        self._handle = handle
        self._began = time.monotonic()
        self._state: int | None = None
        self._row_count: int | None = None
        self._said: int | None = None
        self._live: Live | None = None
        self._console = Console(stderr=True)
        self._is_notebook = self._console.is_jupyter and find_spec("ipywidgets") is not None
        # What rich takes for a terminal can be a file, if the environment says so.
        self._moves = self._is_notebook or (self._console.is_interactive and self._console.file.isatty())
        self._spinner = Spinner("dots" if self._console.encoding.startswith("utf") else "line")

    def __enter__(self) -> ProgressLine:
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
        """Get out of the way of what others print; in a notebook it has a place of its own."""
        if not self._is_notebook:
            self._stop()

    def _start(self) -> bool:
        with self._writing:
            if ProgressLine._moving is not None:
                return False
            self._live = ProgressLine._moving = Live(
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
                    self._live = ProgressLine._moving = None

    def _say(self) -> None:
        with self._writing:
            if self._state != self._said:
                self._said = self._state
                below = ProgressLine._moving
                console = self._console if below is None else below.console
                console.print(self._text(), soft_wrap=True)

    def _text(self) -> Text:
        seconds = time.monotonic() - self._began
        color = self._moves and not self._console.no_color
        return Text.from_ansi(line_text(self._handle, self._state, self._row_count, seconds, color=color))

    def _frame(self) -> Spinner:
        text = self._text()
        text.truncate(max(1, self._console.width - _ROOM_FOR_SPINNER), overflow="ellipsis")
        self._spinner.update(text=text)
        return self._spinner
