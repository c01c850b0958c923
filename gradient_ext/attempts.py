"""The attempts of one logical call: whether there is another one, when, and what the log says of that."""

from __future__ import annotations

import logging
import random
import time
from typing import Any

import stamina
from attrs import define, field

from gradient_ext.config import Options
from gradient_ext.errors import GradientSdkError, RequestTimeoutError
from gradient_ext.retrying import RetryPolicy

logger = logging.getLogger("gradient")
RETRIES = ("stamina", "tenacity", "concurrent")
"""The packages that carry out retries: who reads a traceback looks for what went wrong, not for how it was raised."""
_NAME = "gradient"
# Retries of this package are said by its own logger, and not a second time as warnings; others' are not touched.
logging.getLogger("stamina").addFilter(lambda record: getattr(record, "stamina.callable", None) != _NAME)


@define
class Attempts:
    """The attempts of one logical call.

    The first one is made before there is anything to try it again with: most calls need no more than that.

    :param Options options: whether there is another one, and until when
    """

    options: Options
    number: int = field(default=1, init=False)
    first_failure: GradientSdkError | None = field(default=None, init=False)
    """What the first one has come to, until `begin` has told it."""
    _began: float = field(factory=time.monotonic, init=False)
    _last_failure: GradientSdkError | None = field(default=None, init=False)

    @property
    def ends(self) -> float | None:
        """When there is no time left for this call, by `time.monotonic`; None: there always is."""
        return None if self.options.deadline is None else self._began + self.options.deadline

    def each(self) -> Any:
        """Give them one after the other, the first one again, with pauses in between.

        :returns: an iterator of context managers, and an asynchronous one; the type has no public name
        """
        retrying = stamina.retry_context(on=self._pause_after, attempts=None, timeout=None)
        return retrying.with_name(_NAME, (), {})

    def begin(self) -> None:
        """Begin one of those that `each` gives.

        :raises GradientSdkError: it is the first one, which has been made and has failed
        """
        failure, self.first_failure = self.first_failure, None
        if failure is not None:
            raise failure
        self.number += 1

    def most_telling(self, error: GradientSdkError) -> GradientSdkError:
        """Give the error that says most about why there is no answer.

        Where the deadline has cut the last attempt off, what went wrong before says more than that.
        """
        is_cut_off = isinstance(error, RequestTimeoutError) and self.ends is not None and time.monotonic() >= self.ends
        return self._last_failure or error if is_cut_off else error

    def _pause_after(self, error: Exception) -> bool | float:
        """Say after how many seconds to try again; False: no more."""
        if not isinstance(error, GradientSdkError):
            return False
        elapsed = time.monotonic() - self._began
        pause = RetryPolicy(attempts=self.options.max_attempts, deadline=self.options.deadline).pause(
            error, self.number, elapsed, random.random
        )
        if pause is None:
            if self.number > 1:
                told = self.most_telling(error)
                told.add_note(f"Gave up after {self.number} attempts in {elapsed:.1f} seconds.")
            return False
        self._last_failure = error
        said = " ".join(str(error).split())  # One line, whatever a server says.
        logger.info("%s; attempt %d failed, the next one is in %.2f seconds", said, self.number, pause)
        return pause
