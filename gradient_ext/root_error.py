"""The root of all errors. `gradient.errors` draws the tree."""

from __future__ import annotations

from gradient_ext.naming import public


@public
class GradientSdkError(Exception):
    """The root of all errors that this package raises on purpose.

    >>> try:
    ...     client.get("esunknown")
    ... except GradientSdkError as error:
    ...     type(error).__name__, error.retryable
    ('NotFoundError', False)
    """

    retryable: bool = False
    """Whether the same call may succeed if it is made again. The client has done so already, as often as it may."""
