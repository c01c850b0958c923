"""Counts the requests and the retries of a client, by what it logs."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

_LOGGER = logging.getLogger("gradient")


class Attempts(logging.Handler):
    """Counts in its block: the client logs every attempt at DEBUG, and every retry at INFO."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.retries = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count; only one thread at a time gets here."""
        if record.levelno == logging.DEBUG:
            self.requests += 1
        elif record.levelno == logging.INFO:
            self.retries += 1

    def __enter__(self) -> Self:
        self._before = _LOGGER.level, _LOGGER.propagate
        _LOGGER.setLevel(logging.DEBUG)
        # Nobody wants to read them one by one.
        _LOGGER.propagate = False
        _LOGGER.addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _LOGGER.removeHandler(self)
        _LOGGER.level, _LOGGER.propagate = self._before
