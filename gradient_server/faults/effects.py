"""What a fault does to an answer, or to the page of logs that is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any
from urllib.parse import urlencode

from attrs import frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gradient_server.faults.log_pages import Row, mixed, older, repeated
from gradient_server.faults.responses import Dripping, HeldBack, Reset, Truncated, error, part_of
from gradient_server.faults.settings import Fault, Faults, Kind


@frozen(kw_only=True)
class Page:
    """The page of logs that a request asks for.

    :param given: the parameters of the request
    :param bool run_goes_on: whether the run has not ended; if it has, nothing is withheld
    """

    given: dict[str, Any]
    run_goes_on: bool


def instead_of_acting(fault: Fault, faults: Faults) -> Response | None:
    """Give what is answered without acting; None: the server acts."""
    if fault.kind == Kind.STATUS:
        return _error(fault, faults)
    return Reset() if fault.kind == Kind.RESET_BEFORE else None


def instead_of_asking(fault: Fault, page: Page, request: Request) -> Request | None:
    """Give the request, with an earlier line, that is answered instead; None: there is none."""
    if fault.kind != Kind.OLD_PAGE or not page.run_goes_on or not page.given["line"]:
        return None
    names = ("experimentId", "limit")
    query = {name: page.given[name] for name in names} | {"line": older(page.given["line"], fault.share)}
    return Request({**request.scope, "query_string": urlencode(query).encode()}, request.receive)


def instead_of_answering(fault: Fault, faults: Faults, answer: Response, page: Page | None) -> Response | None:
    """Give what is made of an answer; None: there is nothing that could be made of this one."""
    body = bytes(answer.body)
    match fault.kind:
        case Kind.STATUS_AFTER:
            return _error(fault, faults)
        case Kind.RESET_AFTER:
            return Reset()
        case Kind.LATENCY:
            return HeldBack(answer, fault.seconds)
        case Kind.SLOW_BODY if body:
            return Dripping(answer, fault.seconds)
        case Kind.TRUNCATED_BODY if len(body) > 1:
            return Truncated(answer, fault.share)
        case Kind.HALF_BODY if len(body) > 1 and isinstance(answer, JSONResponse):
            return Response(part_of(answer, fault.share), answer.status_code, media_type=answer.media_type)
        case _:  # Something else happens, or to pages of logs alone.
            pass
    if page is None or answer.status_code != 200:
        return None
    rows = json.loads(body)
    match fault.kind:
        case Kind.LATE_PAGE if page.run_goes_on:
            return Response(status_code=204)
        case Kind.REPEATED_PAGE:
            return _other(rows, repeated(rows, page.given["limit"]))
        case Kind.MIXED_PAGE:
            return _other(rows, mixed(rows, Random(fault.share)))
        case _:
            return None


def _error(fault: Fault, faults: Faults) -> Response:
    return error(fault.status, html=fault.html, retry_after=faults.retry_after, as_date=faults.retry_after_date)


def _other(rows: Sequence[Row], changed: Sequence[Row]) -> Response | None:
    return JSONResponse(changed) if changed != rows else None
