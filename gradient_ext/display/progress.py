"""A live line about the progress of an experiment, in a terminal or in a notebook. It needs rich.

The line is there only while the program waits for the server. Whatever the user's code prints begins on a line of its
own, and a loop that is left early leaves the terminal in order.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from importlib import import_module
from types import TracebackType
from typing import ClassVar

from gradient_ext import install_command
from gradient_ext.display import ProgressReporter, TransferReporter
from gradient_ext.display.tables import TERMINAL_STYLES, badge, elapsed_text, parsed_timestamp
from gradient_ext.redaction import escape_control_characters
from gradient_ext.states import ExperimentState, Style, state_style, state_word

try:
    from rich.console import Console
    from rich.live import Live
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.spinner import Spinner
    from rich.text import Text
except ModuleNotFoundError as missing:
    if (missing.name or "").partition(".")[0] != "rich":
        raise
    text = f"progress=True needs rich, which is not installed: {install_command('progress')}"
    raise ImportError(text) from None

_REFRESHES_PER_SECOND = 8
_SPINNER_WIDTH = 2
# Log rows may come much faster than a notebook can display them.
_NOTEBOOK_INTERVAL = 1.0
_QUIET_SECONDS = 2.0
"""For how long a transfer shows nothing: most are over then."""


def live_line(experiment_id: str) -> ProgressReporter:
    """Return a reporter for where the program runs: a notebook, or a process with a stderr."""
    console = Console(stderr=True)
    return NotebookLine(experiment_id) if console.is_jupyter else TerminalLine(experiment_id, console)


class TransferBar(TransferReporter):
    """A bar with the bytes of a transfer, its speed and the time that it still takes, on stderr or in a notebook.

    It appears when the transfer has taken two seconds.

    :param str text: what is transferred
    """

    def __init__(self, text: str) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(binary_units=True))
        self._progress = Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._progress.add_task(text, total=None)
        self._shown_from = time.monotonic() + _QUIET_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def show(self, done: int, total: int) -> None:
        """Display how much has been transferred."""
        self._progress.update(self._task, completed=done, total=total)
        if time.monotonic() >= self._shown_from:
            self._progress.start()


class _Line(ProgressReporter):
    def __init__(self, experiment_id: str) -> None:
        self._experiment_id = experiment_id
        self._began = time.monotonic()
        self._state: int | None = None
        self._row_count: int | None = None
        self._remark: str | None = None
        self._command_began = False

    def _update(self, state: int | None, row_count: int | None, began: str | None, remark: str | None) -> None:
        """Take the progress. The time counts from the start of the command, until then from now on."""
        if not self._command_began and (timestamp := parsed_timestamp(began)):
            self._command_began = True
            self._began -= max(0.0, (datetime.now(UTC) - timestamp).total_seconds())
        elif not self._command_began and state == ExperimentState.RUNNING != self._state:
            self._command_began = True
            self._began = time.monotonic()
        self._state, self._row_count, self._remark = state, row_count, remark

    def _parts(self) -> tuple[str, str, Style | None, str]:
        """Return the line: the text before the word for the state, this word, its style, and the text after it."""
        rows = "" if self._row_count is None else f", {self._row_count} row{'' if self._row_count == 1 else 's'}"
        remark = f". {escape_control_characters(self._remark)}" if self._remark else ""
        after = f", {elapsed_text(time.monotonic() - self._began)}{rows}{remark}"
        if self._state is None:
            return self._experiment_id, "", None, after
        return f"{self._experiment_id} ", state_word(self._state), state_style(self._state), after


class TerminalLine(_Line):
    """A line with a spinner on stderr. Where stderr is no terminal, a plain line for each new state.

    The line vanishes; after success, its last content stays. A terminal has one live line at a time: meanwhile, other
    reporters print a plain line above it for each new state.

    :param str experiment_id: the experiment
    :param Console console: where to display it
    """

    _current: ClassVar[Live | None] = None
    # Reentrant: the garbage collector may close a generator, and with it a reporter, at any point of this code.
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, experiment_id: str, console: Console) -> None:
        super().__init__(experiment_id)
        self._console = console
        # With FORCE_COLOR, rich takes a file for a terminal.
        self._is_terminal = console.is_interactive and console.file.isatty()
        self._spinner = Spinner("dots" if console.encoding.startswith("utf") else "line")
        self._live: Live | None = None
        self._printed_state: int | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the line; after success, leave its last content."""
        self.hide()
        if kind is None and self._is_terminal:
            self._print_new_state()

    def show(
        self, state: int | None, row_count: int | None, began: str | None = None, remark: str | None = None
    ) -> None:
        """Display the progress until `hide()` is called."""
        self._update(state, row_count, began, remark)
        if self._live is None and not (self._is_terminal and self._start()):
            self._print_new_state()

    def hide(self) -> None:
        """Remove the line."""
        with self._lock:
            if self._live is not None:
                try:
                    self._live.stop()
                except IndexError:  # Ctrl-C came while it started, and rich removes what it had not added yet.
                    self._console.show_cursor(True)
                finally:
                    self._live = TerminalLine._current = None

    def _start(self) -> bool:
        with self._lock:
            if TerminalLine._current is not None:
                return False
            self._live = TerminalLine._current = Live(
                console=self._console,
                get_renderable=self._frame,
                refresh_per_second=_REFRESHES_PER_SECOND,
                transient=True,
                # Redirected output would be printed to stderr.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
            return True

    def _print_new_state(self) -> None:
        with self._lock:
            if self._state != self._printed_state:
                self._printed_state = self._state
                console = TerminalLine._current.console if TerminalLine._current else self._console
                text = self._text()
                console.print(text if self._is_terminal else text.plain, soft_wrap=True, markup=False, highlight=False)

    def _text(self) -> Text:
        before, word, style, after = self._parts()
        return Text.assemble(before, (word, TERMINAL_STYLES.get(style, "")), after)

    def _frame(self) -> Spinner:
        text = self._text()
        text.truncate(max(1, self._console.width - _SPINNER_WIDTH), overflow="ellipsis")
        self._spinner.update(text=text)
        return self._spinner


class NotebookLine(_Line):
    """An output below the cell, updated with each new state and at most once per second.

    Every notebook front-end can update an output. The live displays of rich need ipywidgets, and leave remains in saved
    notebooks.

    :param str experiment_id: the experiment
    """

    def __init__(self, experiment_id: str) -> None:
        super().__init__(experiment_id)
        self._display_id = uuid.uuid4().hex
        self._displayed_at: float | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Display the last content of the line."""
        if self._displayed_at is not None:
            self._display("" if kind is None else "; not watched any more")

    def show(
        self, state: int | None, row_count: int | None, began: str | None = None, remark: str | None = None
    ) -> None:
        """Display the progress."""
        is_new = state != self._state
        self._update(state, row_count, began, remark)
        if is_new or self._displayed_at is None or time.monotonic() - self._displayed_at >= _NOTEBOOK_INTERVAL:
            self._display()

    def _display(self, ending: str = "") -> None:
        # By name: IPython is installed in notebooks, and not where type checkers run.
        display: Callable[..., object] = import_module("IPython.display").display
        before, word, style, after = self._parts()
        page = f"{escape(before)}{badge(word, style) if style else escape(word)}{escape(after + ending)}"
        display(
            {
                "text/plain": f"{before}{word}{after}{ending}",
                "text/html": f'<div style="padding:0.2em 0.8em">{page}</div>',
            },
            raw=True,
            display_id=self._display_id,
            update=self._displayed_at is not None,
        )
        self._displayed_at = time.monotonic()
