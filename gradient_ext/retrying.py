"""When to try again, and after which pause. No I/O: the transport asks, and waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import frozen

from gradient_ext import config
from gradient_ext.errors import GradientSdkError, ResourceFetchingError


@frozen(kw_only=True)
class RetryPolicy:
    """How often to try, and how long to pause in between: exponential back-off with full jitter.

    :param int attempts: how often to try, the first time included
    :param float deadline: seconds for all attempts and pauses together; None: no end
    :param float first_pause: the longest first pause, in seconds; each next one may be twice as long
    :param float longest_pause: the longest pause, in seconds
    :param float longest_retry_after: the longest time, in seconds, that a server may ask to wait; with a longer one the
        error is raised at once, and carries it
    """

    attempts: int = config.MAX_ATTEMPTS
    deadline: float | None = config.DEADLINE
    first_pause: float = 0.2
    longest_pause: float = 10.0
    longest_retry_after: float = 60.0

    def pause(self, error: BaseException, attempt: int, elapsed: float, chance: Callable[[], float]) -> float | None:
        """Say how long to pause before the next attempt; None: there is none.

        :param error: what the attempt has come to
        :param int attempt: the number of the attempt, from 1
        :param float elapsed: seconds since the first attempt began
        :param chance: gives a number from 0 to 1, a different one each time
        """
        if attempt >= self.attempts or not (isinstance(error, GradientSdkError) and error.retryable):
            return None
        ceiling = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt - 1, 60))
        pause = ceiling * chance()
        asked = error.retry_after if isinstance(error, ResourceFetchingError) else None
        if asked is not None:
            if asked > self.longest_retry_after:
                return None
            pause = max(pause, asked)
        if self.deadline is not None and elapsed + pause >= self.deadline:
            return None
        return pause


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Read a `Retry-After` header (RFC 9110, 10.2.3): seconds, or a date; None where it says neither.

    >>> retry_after_seconds("120")
    120.0
    >>> retry_after_seconds("Fri, 31 Dec 1999 23:59:59 GMT", datetime(1999, 12, 31, 23, 59, 29, tzinfo=UTC))
    30.0
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= 10:
        return float(value)
    date = read_date(value)
    return None if date is None else max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def read_date(value: str | None) -> datetime | None:
    """Read a date as headers have it (RFC 9110, 5.6.7); None where it is none.

    >>> read_date("Fri, 31 Dec 1999 23:59:59 GMT")
    datetime.datetime(1999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
    """
    from email.utils import parsedate_to_datetime  # which loads what else belongs to mail

    try:
        date = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
