"""A live line about an experiment, for notebooks: one output of a cell, which is written anew.

Any front-end can do that; the live lines of rich need ipywidgets there, and leave things behind in notebooks that are
saved.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from html import escape
from importlib import import_module
from types import TracebackType

from gradient_ext.html_tables import badge
from gradient_ext.progress_text import line_text
from gradient_ext.watching import Watcher

# What it says changes that often by itself. Rows may come much faster than a page can be drawn.
_SECONDS_BETWEEN = 1.0
_STYLE = "padding:0.2em 0.8em"


class NotebookLine(Watcher):
    """A line below the cell in which it is shown first; each experiment that is watched has its own.

    It stands still while nobody waits, and stays with its last words.

    :param str handle: the experiment
    """

    def __init__(self, handle: str) -> None:
        self._handle = handle
        self._began = time.monotonic()
        self._state: int | None = None
        self._row_count: int | None = None
        self._is_awaited = False
        self._place = ""
        self._said = ""
        self._over = threading.Event()
        # Python may close a generator that nobody has any more wherever it is, also in here.
        self._writing = threading.RLock()

    def __enter__(self) -> NotebookLine:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._writing:
            self._over.set()
            if self._place:
                self._write("" if kind is None else "; not watched any more")

    def show(self, state: int | None, row_count: int | None) -> None:
        """Show what is known, from now until `hide()`; how many rows have come is said every second."""
        is_news = state != self._state
        self._state, self._row_count, self._is_awaited = state, row_count, True
        if not self._place:
            self._place = uuid.uuid4().hex
            self._write()
            threading.Thread(target=self._go_on, daemon=True).start()
        elif is_news:
            self._write()

    def hide(self) -> None:
        """Stand still: what others print has other places."""
        self._is_awaited = False

    def _go_on(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN):
            with self._writing:
                if self._is_awaited and not self._over.is_set():
                    self._write()

    def _write(self, ending: str = "") -> None:
        with self._writing:
            known = self._state, self._row_count, time.monotonic() - self._began
            text = line_text(self._handle, *known) + ending
            if text != self._said:
                page = line_text(escape(self._handle), *known, in_color=badge) + ending
                _display(
                    {"text/plain": text, "text/html": f'<div style="{_STYLE}">{page}</div>'},
                    raw=True,
                    display_id=self._place,
                    update=bool(self._said),
                )
                self._said = text


def _display(*shown: object, **options: object) -> None:
    # No name for type checkers: IPython is there where there is a notebook, and nothing else needs it.
    display: Callable[..., object] = import_module("IPython.display").display
    display(*shown, **options)
