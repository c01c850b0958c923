"""Exchanges as a HAR file (HTTP Archive 1.2), without the key. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from recording import Exchange, Headers

MASK = "********"


def archive(exchanges: Iterable[Exchange], secret_header: str) -> dict[str, Any]:
    """Write down exchanges; the value of one header is masked."""
    entries = [_entry(exchange, secret_header) for exchange in exchanges]
    return {"log": {"version": "1.2", "creator": {"name": "contract-independent", "version": "1"}, "entries": entries}}


def _entry(exchange: Exchange, secret_header: str) -> dict[str, Any]:
    milliseconds = exchange.seconds * 1000
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": exchange.url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(exchange.request_headers, secret_header),
        "queryString": _named(parse_qsl(urlsplit(exchange.url).query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": len(exchange.request_body),
    }
    if exchange.request_body:
        kind = next((value for name, value in exchange.request_headers if name.lower() == "content-type"), "")
        request["postData"] = {"mimeType": kind, "text": exchange.request_body.decode("utf-8", "replace")}
    return {
        "startedDateTime": exchange.began.isoformat(),
        "time": milliseconds,
        "request": request,
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(exchange.answer_headers, secret_header),
            "content": {
                "size": len(exchange.answer_body),
                "mimeType": exchange.answer_header("Content-Type") or "",
                "text": exchange.answer_body.decode("utf-8", "replace"),
            },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": len(exchange.answer_body),
        },
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
    }


def _pairs(headers: Headers, secret_header: str) -> list[dict[str, str]]:
    return _named((name, MASK if name.lower() == secret_header.lower() else value) for name, value in headers)


def _named(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]
