"""The attempts of one logical call: whether there is another one, when, and what the log says of that."""

from __future__ import annotations

import logging
import random
import time
from typing import Any

import stamina
from attrs import define, field

from gradient_ext.options import Options
from gradient_ext.root_error import GradientSdkError

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

    @property
    def remaining(self) -> float | None:
        """How many seconds there are left for this call; None: no end."""
        deadline = self.options.deadline
        return None if deadline is None else self._began + deadline - time.monotonic()

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

    def _pause_after(self, error: Exception) -> bool | float:
        """Say after how many seconds to try again; False: no more."""
        elapsed = time.monotonic() - self._began
        pause = self.options.retries.pause(error, self.number, elapsed, random.random)
        if pause is None:
            if self.number > 1:
                error.add_note(f"Gave up after {self.number} attempts in {elapsed:.1f} seconds.")
            return False
        said = " ".join(str(error).split())  # One line, whatever a server says.
        logger.info("%s; attempt %d failed, the next one is in %.2f seconds", said, self.number, pause)
        return pause
