"""The call that creates an experiment out of keywords. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import frozen
from gradient_api.models import Created
from gradient_api.operations import Operation
from gradient_api.parameters import ParameterSet

from gradient_ext._json import require
from gradient_ext.calls import Call, call_of
from gradient_ext.errors import InvalidParametersError, ResourceCreatingError
from gradient_ext.parameters import request_body


@frozen
class _Body:
    """What is sent, where the generated code takes a model of it; such a one would only be taken apart again."""

    written: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give it."""
        return self.written


def creation(
    operation: Operation[Created], accepted: ParameterSet, given: Mapping[str, object], subject: str
) -> Call[str]:
    """Prepare a create or run. Its answer is the handle of the new experiment.

    :param Operation operation: what to call
    :param ParameterSet accepted: the keywords that there are
    :param given: the keywords of this call; emptied, as they stand in the frame of who calls, and may be secret
    :param str subject: what was called, for errors

    :raises TypeError: there is an unknown keyword
    :raises InvalidParametersError: values are missing or wrong
    """
    refusal: TypeError | InvalidParametersError | None = None
    try:
        return _creation(operation, accepted, given, subject)
    except (TypeError, InvalidParametersError) as error:
        # Without the frames that it has passed through, and the passwords in them.
        refusal = error.with_traceback(None)
    finally:
        cast("dict[str, object]", given).clear()
    raise refusal


def _creation(
    operation: Operation[Created], accepted: ParameterSet, given: Mapping[str, object], subject: str
) -> Call[str]:
    body = _Body(request_body(accepted, given, subject))
    secrets = [given.get(parameter.name) for parameter in accepted.parameters if parameter.secret]
    return call_of(
        operation,
        "Failed to create resource",
        meaning=_handle_in,
        secrets=tuple(secret for secret in secrets if isinstance(secret, str)),
        malformed=ResourceCreatingError,
        body=body,
    )


def _handle_in(created: Created) -> str:
    handle: str = require("string", created.handle, "handle", min_length=1)
    return handle
