"""Who watches how far a task has got: nobody, or somebody in front of a terminal or a notebook."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Watcher:
    """Somebody who is told of states and rows while a task is carried out. This one does not care."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hear that nothing is waited for any more, whatever has happened."""

    def show(self, state: int | None, row_count: int | None) -> None:
        """Show what is known, from now until `hide()`: the caller waits for something.

        :param int state: the state of the experiment; None: it is not known yet
        :param int row_count: how many rows have come; None: nobody reads rows
        """

    def hide(self) -> None:
        """Get out of the way: something that is not ours goes on, and may print."""


def watcher(handle: str, *, progress: bool) -> Watcher:
    """Give a watcher who shows the progress of an experiment, or one who does not care.

    :raises ImportError: what shows it is not installed
    """
    if not progress:
        return Watcher()
    from gradient_ext.progress import progress_line

    return progress_line(handle)
