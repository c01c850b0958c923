"""What is wrong with what a client was given. Nothing has been sent then."""

from __future__ import annotations

from collections.abc import Sequence

from gradient_ext.naming import public
from gradient_ext.root_error import GradientSdkError


@public
class ConfigurationError(GradientSdkError, ValueError):
    """The client cannot be made from what it was given: no key, no proper address, a broken configuration file.

    >>> ExperimentsClient("a key", base_url="localhost:8090")
    Traceback (most recent call last):
      ...
    gradient.ConfigurationError: base_url must be an address such as 'https://...', not 'localhost:8090'
    """


@public
class InvalidParametersError(GradientSdkError, ValueError):
    """One or more arguments cannot be sent. Nothing has been sent.

    >>> try:
    ...     client.logs(experiment_id, limit=0)
    ... except InvalidParametersError as error:
    ...     error.subject, error.problems
    ('logs()', ('limit: must be at least 1, not 0',))

    :param str subject: what was called
    :param problems: one text for each thing that is wrong
    """

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        super().__init__(subject, problems)
        self.subject = subject
        self.problems: tuple[str, ...] = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.subject}: {self.problems[0]}"
        return "\n  ".join([f"{self.subject}:", *self.problems])
