"""Faults over HTTP, for servers in another process: `PUT`, `GET` and `DELETE` at `/_gradient/faults`, with the API key.

`PUT` takes a JSON object of the settings that `Faults` documents, such as `{"rate": 0.3, "statuses": [502, 503]}`;
`DELETE` ends them. All three return the settings, and how often each kind has been injected since the server began:
`{"faults": {"rate": 0.3, ...}, "injected": {"status": 12}}`, where `faults` is null without settings. This path is not
part of the contract, and no faults are injected into it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from attrs import asdict

from gradient_server.api.responses import ApiResponse
from gradient_server.api.validation import MAX_TEXTS, InvalidJsonError, parse_json_object, shorten
from gradient_server.faults.injection import FaultInjection
from gradient_server.faults.settings import SCHEMA, Faults, InvalidFaultsError

PATH = "/_gradient/faults"


class FaultControl:
    """The handlers of the control path.

    :param FaultInjection injection: what they control
    """

    def __init__(self, injection: FaultInjection) -> None:
        self._injection = injection
        self.methods: Mapping[str, Callable[[bytes], ApiResponse]] = {
            "GET": lambda body: self._status(),
            "PUT": self._begin,
            "DELETE": lambda body: self._end(),
        }
        """A handler for each method; it takes the body of the request."""

    def _begin(self, body: bytes) -> ApiResponse:
        try:
            settings = parse_json_object(body)
            unknown = [name for name in settings if name not in SCHEMA][:MAX_TEXTS]
            if unknown:
                return _invalid({shorten(name): [_unknown(shorten(name))] for name in unknown})
            self._injection.begin(Faults(**settings))
        except InvalidJsonError as error:
            return _invalid(str(error))
        except InvalidFaultsError as error:
            return _invalid(error.problems)
        return self._status()

    def _end(self) -> ApiResponse:
        self._injection.begin(None)
        return self._status()

    def _status(self) -> ApiResponse:
        faults = self._injection.faults
        settings = asdict(faults) if faults else None
        return ApiResponse(200, {"faults": settings, "injected": dict(self._injection.injected)})


def _invalid(problems: Mapping[str, list[str]] | str) -> ApiResponse:
    return ApiResponse(400, {"details": problems, "error": "Fault settings error"})


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, SCHEMA, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SCHEMA)}."
    return f"There is no such setting; {hint}"
