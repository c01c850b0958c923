"""When there is another attempt and after which pause: the policy as a function, for whatever goes wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient import MalformedResponseError, RequestFailedError
from gradient_ext.errors import RETRIED_STATUSES, error_class
from gradient_ext.retries import RetryPolicy, retry_after_seconds


def answered(status, retry_after=None):
    return error_class(status)("Failed", status=status, method="GET", url="http://h/", retry_after=retry_after)


ERRORS = st.one_of(
    st.builds(answered, st.integers(300, 599), st.none() | st.floats(0, 1000)),
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
def test_every_pause_keeps_all_promises(policy, error, attempt, elapsed, chance):
    """Whatever happens: enough attempts end it, the deadline holds, what is asked is waited, jitter has its ceiling."""
    pause = policy.delay(error, attempt, elapsed, lambda: chance)
    if pause is None:
        return
    assert attempt < policy.attempts
    assert error.retryable
    assert policy.deadline is None or elapsed + pause < policy.deadline
    asked = getattr(error, "retry_after", None) or 0
    assert asked <= pause
    assert asked <= policy.longest_retry_after
    assert pause <= max(asked, policy.longest_delay, 0)
    assert pause <= max(asked, policy.first_delay * 2.0 ** (attempt - 1))


@given(attempt=st.integers(1, 9), error=ERRORS)
def test_what_may_pass_is_tried_again(attempt, error):
    """With attempts and time left, only what cannot pass, or would take too long, is raised at once."""
    pause = RetryPolicy(attempts=10, deadline=None).delay(error, attempt, 0, lambda: 0.5)
    hopeless = not getattr(error, "retryable", False) or (getattr(error, "retry_after", None) or 0) > 60
    assert (pause is None) == hopeless


@pytest.mark.parametrize(
    ("attempt", "elapsed", "pause"), [(1, 5.9, 4), (1, 6, None), (1, 9, None), (2, 0, 4), (3, 0, None)]
)
def test_the_last_attempt(attempt, elapsed, pause):
    """There is none that would begin when the deadline is over, and none beyond the number of attempts."""
    policy = RetryPolicy(attempts=3, deadline=10, first_delay=4, longest_delay=4)
    assert policy.delay(RequestFailedError("broke"), attempt, elapsed, lambda: 1) == pause


@given(st.integers(1, 60))
def test_full_jitter_reaches_from_nothing_to_a_ceiling_that_doubles(attempt):
    """Many clients that fail together do not come back together."""
    policy = RetryPolicy(attempts=1000, deadline=None, first_delay=0.2, longest_delay=10)
    shortest, longest = (
        policy.delay(RequestFailedError("broke"), attempt, 0, lambda share=share: share) for share in (0.0, 1.0)
    )
    assert shortest == 0
    assert longest == pytest.approx(min(10, 0.2 * 2 ** (attempt - 1)))


@pytest.mark.parametrize("status", range(300, 600))
def test_which_statuses_may_pass(status):
    """Busy and unreachable servers, timeouts; nothing else."""
    assert answered(status).retryable == (status in {408, 429, 500, 502, 503, 504}) == (status in RETRIED_STATUSES)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-10_000, 10_000))
def test_retry_after_as_a_date(now, seconds):
    """The date of RFC 9110 becomes the seconds until then; one that has passed means now."""
    now = now.replace(microsecond=0, tzinfo=UTC)
    header = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(header, now) == max(0, seconds)


@given(st.integers(0, 10**9))
def test_retry_after_in_seconds(seconds):
    """A number is a number of seconds."""
    assert retry_after_seconds(f" {seconds} ") == seconds


@given(st.text() | st.sampled_from(["-1", "1.5", "soon", "", "Fri, 99 Dec 1999 99:99:99 GMT", "٣", "1" * 400]))
def test_retry_after_that_says_nothing(value):
    """Whatever stands there, it is seconds of at least 0, or nothing; never an error."""
    seconds = retry_after_seconds(value)
    assert seconds is None or seconds >= 0
