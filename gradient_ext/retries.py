"""The retry policy: exponential back-off with full jitter, and `Retry-After`. No I/O."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

from gradient_ext.config import Options
from gradient_ext.errors import GradientSdkError, RequestTimeoutError, ResourceFetchingError

logger = logging.getLogger("gradient")
NAME = "gradient"
# This package logs its own retries. stamina would log them a second time, as warnings; those of others are not touched.
logging.getLogger("stamina").addFilter(lambda record: getattr(record, "stamina.callable", None) != NAME)


@frozen(kw_only=True)
class RetryPolicy:
    """How often to attempt a call, and how long to wait in between: exponential back-off with full jitter.

    :param int attempts: the most attempts, the first one included
    :param float deadline: seconds for all attempts and delays together; None: no limit
    :param float first_delay: the longest first delay, in seconds; each next one may be twice as long
    :param float longest_delay: the longest delay, in seconds
    :param float longest_retry_after: the longest `Retry-After` to obey, in seconds; with a longer one the error is
        raised at once, and carries it
    """

    attempts: int
    deadline: float | None = None
    first_delay: float = 0.2
    longest_delay: float = 10.0
    longest_retry_after: float = 60.0

    def delay(self, error: BaseException, attempt: int, elapsed: float, jitter: Callable[[], float]) -> float | None:
        """Return the delay before the next attempt, in seconds; None: there is no next attempt.

        :param error: the error of the attempt
        :param int attempt: the number of the attempt, from 1
        :param float elapsed: seconds since the first attempt began
        :param jitter: returns a random number from 0 to 1
        """
        if attempt >= self.attempts or not (isinstance(error, GradientSdkError) and error.retryable):
            return None
        ceiling = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, 60))
        delay = ceiling * jitter()
        retry_after = error.retry_after if isinstance(error, ResourceFetchingError) else None
        if retry_after is not None:
            if retry_after > self.longest_retry_after:
                return None
            delay = max(delay, retry_after)
        if self.deadline is not None and elapsed + delay >= self.deadline:
            return None
        return delay


class Retries:
    """The attempts of one call; `back_off` is the hook that stamina asks for the next delay.

    :param Options options: how often to attempt the call, and until when
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.attempt = 1
        self._started_at = time.monotonic()
        self._last_error: GradientSdkError | None = None

    @property
    def deadline(self) -> float | None:
        """When the call has to be over, by `time.monotonic`; None: there is no deadline."""
        return None if self.options.deadline is None else self._started_at + self.options.deadline

    def back_off(self, error: Exception) -> bool | float:
        """Return the delay before the next attempt, in seconds; False: there is no next attempt."""
        if not isinstance(error, GradientSdkError):
            return False
        elapsed = time.monotonic() - self._started_at
        policy = RetryPolicy(attempts=self.options.max_attempts, deadline=self.options.deadline)
        delay = policy.delay(error, self.attempt, elapsed, random.random)
        if delay is None:
            if self.attempt > 1:
                self.final_error(error).add_note(f"Gave up after {self.attempt} attempts in {elapsed:.1f} seconds.")
            return False
        message = " ".join(str(error).split())  # one line, whatever the server said
        logger.info("%s; attempt %d failed, the next one is in %.2f seconds", message, self.attempt, delay)
        self._last_error = error
        self.attempt += 1
        return delay

    def final_error(self, error: GradientSdkError) -> GradientSdkError:
        """Return the error that explains best why the call failed.

        If the deadline cut the last attempt off, the error before it explains more.
        """
        is_cut_off = isinstance(error, RequestTimeoutError) and self.deadline is not None
        is_over = is_cut_off and time.monotonic() >= (self.deadline or 0.0)
        return self._last_error or error if is_over else error


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a `Retry-After` header (RFC 9110, 10.2.3): a number or a date; None for anything else.

    >>> retry_after_seconds("120")
    120.0
    >>> retry_after_seconds("Fri, 31 Dec 1999 23:59:59 GMT", datetime(1999, 12, 31, 23, 59, 29, tzinfo=UTC))
    30.0

    :param str value: the header
    :param datetime now: the time at the server; default: that of this machine
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= 10:
        return float(value)
    date = http_date(value)
    return None if date is None else max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """Return the date in a header (RFC 9110, 5.6.7); None if it is none.

    >>> http_date("Fri, 31 Dec 1999 23:59:59 GMT")
    datetime.datetime(1999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
    """
    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
