"""Tables, data frames and the progress of an experiment."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class ProgressReporter:
    """Something that is told about the progress of an experiment. This one ignores it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop reporting."""

    def show(
        self, state: int | None, row_count: int | None, began: str | None = None, remark: str | None = None
    ) -> None:
        """Display the progress until `hide()` is called: the caller begins to wait for the server.

        :param int state: the state of the experiment; None: it is not known yet
        :param int row_count: the number of log rows so far; None: nobody reads logs
        :param str began: when the command began to run, in ISO 8601; None: that is not known
        :param str remark: what the experiment waits for, in words; None: nothing, or nobody knows
        """

    def hide(self) -> None:
        """Hide the progress: the code of the user goes on, and may print."""


class TransferReporter:
    """Something that is told how much has been transferred. This one ignores it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop reporting."""

    def show(self, done: int, total: int) -> None:
        """Display how many bytes have been transferred, and how many there are."""
