"""The retry policy: whether there is another attempt and after which delay; `Retry-After`."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient import MalformedResponseError, RequestFailedError
from gradient_ext.errors import error_class
from gradient_ext.retries import RetryPolicy, retry_after_seconds


def response_error(status, retry_after=None):
    return error_class(status)("Failed", status=status, method="GET", url="http://h/", retry_after=retry_after)


ERRORS = st.one_of(
    st.builds(response_error, st.integers(300, 599), st.none() | st.floats(0, 1000)),
    st.just(RequestFailedError("the connection broke")),
    st.builds(MalformedResponseError, st.just("no JSON"), retryable=st.booleans()),
    st.just(ValueError("a wrong argument")),
)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 100),
    deadline=st.none() | st.floats(0.1, 1000),
    first_delay=st.floats(0.001, 10),
    longest_delay=st.floats(0.001, 100),
    longest_retry_after=st.floats(0, 100),
)


@given(policy=POLICIES, error=ERRORS, attempt=st.integers(1, 200), elapsed=st.floats(0, 2000), chance=st.floats(0, 1))
def test_every_delay_respects_attempts_deadline_retry_after_and_the_ceiling_of_jitter(
    policy, error, attempt, elapsed, chance
):
    delay = policy.delay(error, attempt, elapsed, lambda: chance)
    if delay is None:
        return
    assert attempt < policy.attempts
    assert error.retryable
    assert policy.deadline is None or elapsed + delay < policy.deadline
    asked = getattr(error, "retry_after", None) or 0
    assert asked <= delay
    assert asked <= policy.longest_retry_after
    assert delay <= max(asked, policy.longest_delay, 0)
    assert delay <= max(asked, policy.first_delay * 2.0 ** (attempt - 1))


@given(attempt=st.integers(1, 9), error=ERRORS)
def test_with_attempts_and_time_left_only_permanent_errors_and_too_long_delays_are_raised_at_once(attempt, error):
    delay = RetryPolicy(attempts=10, deadline=None).delay(error, attempt, 0, lambda: 0.5)
    is_final = not getattr(error, "retryable", False) or (getattr(error, "retry_after", None) or 0) > 60
    assert (delay is None) == is_final


@pytest.mark.parametrize(
    ("attempt", "elapsed", "delay"), [(1, 5.9, 4), (1, 6, None), (1, 9, None), (2, 0, 4), (3, 0, None)]
)
def test_no_attempt_begins_after_the_deadline_or_beyond_the_number_of_attempts(attempt, elapsed, delay):
    policy = RetryPolicy(attempts=3, deadline=10, first_delay=4, longest_delay=4)
    assert policy.delay(RequestFailedError("broke"), attempt, elapsed, lambda: 1) == delay


@given(st.integers(1, 60))
def test_full_jitter_reaches_from_zero_to_a_ceiling_that_doubles(attempt):
    policy = RetryPolicy(attempts=1000, deadline=None, first_delay=0.2, longest_delay=10)
    shortest, longest = (
        policy.delay(RequestFailedError("broke"), attempt, 0, lambda share=share: share) for share in (0.0, 1.0)
    )
    assert shortest == 0
    assert longest == pytest.approx(min(10, 0.2 * 2 ** (attempt - 1)))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-10_000, 10_000))
def test_a_retry_after_date_becomes_the_seconds_until_then_and_zero_when_it_has_passed(now, seconds):
    now = now.replace(microsecond=0, tzinfo=UTC)
    header = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(header, now) == max(0, seconds)


@given(st.integers(0, 10**9))
def test_a_retry_after_number_is_a_number_of_seconds(seconds):
    assert retry_after_seconds(f" {seconds} ") == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("9999999999", 9_999_999_999), ("0000000007", 7), ("10000000000", None), ("9" * 5000, None)],
)
def test_a_retry_after_of_more_than_ten_digits_is_none(value, seconds):
    assert retry_after_seconds(value) == seconds


@given(st.text() | st.sampled_from(["-1", "1.5", "soon", "", "Fri, 99 Dec 1999 99:99:99 GMT", "٣", "1" * 400]))
def test_any_retry_after_becomes_seconds_of_at_least_zero_or_none(value):
    seconds = retry_after_seconds(value)
    assert seconds is None or seconds >= 0
