"""Faults over HTTP, for servers in another process: `PUT`, `GET` and `DELETE` at `/_gradient/faults`, with the API key.

`PUT` takes a JSON object of the settings that `Faults` documents, `{"rate": 0.3, "statuses": [502, 503]}` for instance,
and `DELETE` ends it. All three answer what goes wrong now, and how often what has gone wrong since the server began:
`{"faults": {"rate": 0.3, ...}, "injected": {"status": 12}}`, where `faults` is null if nothing does. This address is
not part of the contract, and nothing goes wrong with it on purpose.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping

from attrs import asdict, fields_dict

from gradient_server.api.json_object import NotAnObject, json_object
from gradient_server.api.responses import ApiResponse
from gradient_server.faults.injection import FaultInjection
from gradient_server.faults.settings import Faults, WrongFaults

PATH = "/_gradient/faults"


class FaultControl:
    """What can be asked at this address.

    :param FaultInjection injection: what lets things go wrong
    """

    def __init__(self, injection: FaultInjection) -> None:
        self._injection = injection
        self.methods: Mapping[str, Callable[[bytes], ApiResponse]] = {
            "GET": lambda body: self._told(),
            "PUT": self._begin,
            "DELETE": lambda body: self._end(),
        }
        """What each method does with the body of a request."""

    def _begin(self, body: bytes) -> ApiResponse:
        try:
            settings = json_object(body)
            problems = {name: [_unknown(name)] for name in settings if name not in fields_dict(Faults)}
            if problems:
                return _wrong(problems)
            self._injection.begin(Faults(**settings))
        except NotAnObject as error:
            return _wrong(str(error))
        except WrongFaults as error:
            return _wrong(error.problems)
        return self._told()

    def _end(self) -> ApiResponse:
        self._injection.begin(None)
        return self._told()

    def _told(self) -> ApiResponse:
        faults = self._injection.faults
        settings = json.loads(json.dumps(asdict(faults))) if faults else None
        return ApiResponse(200, {"faults": settings, "injected": dict(self._injection.injected)})


def _wrong(problems: Mapping[str, list[str]] | str) -> ApiResponse:
    return ApiResponse(400, {"details": problems, "error": "Fault settings error"})


def _unknown(name: str) -> str:
    known = list(fields_dict(Faults))
    close = difflib.get_close_matches(name, known, 1)
    further = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
    return f"There is no such setting; {further}"
