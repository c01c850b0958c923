"""What can be chosen for a client, or for some of its calls: timeouts, and how often to try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from gradient_ext import defaults
from gradient_ext.errors import InvalidParametersError

if TYPE_CHECKING:
    from gradient_ext.retrying import RetryPolicy


class ClientOptions(TypedDict, total=False):
    """The options of a client that can be chosen anew for some calls."""

    timeout: float | None
    """Seconds to wait for each part of an answer; None: for ever."""
    connect_timeout: float | None
    """Seconds to wait for a connection; None: as long as for a part of an answer."""
    max_attempts: int
    """How often to try a call that fails in a way that may pass, the first time included."""
    deadline: float | None
    """Seconds for all attempts of one call together; None: no end."""
    patience: float | None
    """Seconds for which following logs and waiting ride out failures while nothing else comes; None: no end."""


class Options(NamedTuple):
    """The options in force. They come with every client, and so do without attrs, which takes long to load."""

    timeout: float | None = defaults.TIMEOUT
    connect_timeout: float | None = defaults.CONNECT_TIMEOUT
    max_attempts: int = defaults.MAX_ATTEMPTS
    deadline: float | None = defaults.DEADLINE
    patience: float | None = defaults.PATIENCE

    @property
    def retries(self) -> RetryPolicy:
        """When to try again."""
        from gradient_ext.retrying import RetryPolicy

        return RetryPolicy(attempts=self.max_attempts, deadline=self.deadline)


def changed_options(options: Options, changes: Mapping[str, object], subject: str) -> Options:
    """Give the options with some of them changed.

    :raises TypeError: there is no such option
    :raises InvalidParametersError: values are wrong; the error names all of them
    """
    unknown = [name for name in changes if name not in ClientOptions.__annotations__]
    if unknown:
        raise TypeError(f"{subject} got an unexpected keyword argument {unknown[0]!r}")
    problems = [f"{name}: {problem}" for name, value in changes.items() if (problem := _problem(name, value))]
    if problems:
        raise InvalidParametersError(subject, problems)
    return options._replace(**cast(ClientOptions, changes))


def _problem(name: str, value: object) -> str | None:
    if name == "max_attempts":
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return None
        return f"must be an int of at least 1, not {value!r:.60}"
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return None
    return f"must be seconds, more than 0, or None, not {value!r:.60}"
