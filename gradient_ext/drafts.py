"""The requests of clients of ours, made from what they have in common. No I/O.

httpx merges the settings of its client into every request, and reads its address anew; that takes a quarter of the time
of a small call. Nobody changes the settings of a client of ours: what httpx made of them once goes for all requests.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import httpx
from gradient_api.constants import API_KEY_HEADER

# Errors of this API come as plain text too, from the host of the logs.
ACCEPT = "application/json, */*;q=0.5"
# What httpx makes for every body; it is the same for all.
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Drafts:
    """What the requests of one httpx client of ours have in common."""

    def __init__(self) -> None:
        self._headers: dict[tuple[object, ...], httpx.Headers] = {}

    def request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        sent: Mapping[str, Any],
        host: str,
        key: str,
        timeout: httpx.Timeout,
    ) -> httpx.Request:
        """Make the request that the client would make.

        :param client: the client
        :param sent: method, url below the host, headers, params and json of the request
        :param str host: the address of the server
        :param str key: the API key
        :param Timeout timeout: how long to wait for parts of the answer
        """
        content = content_of(sent)
        headers = self._common(client, sent["method"], host, key, content)
        for name, value in sent.get("headers", {}).items():
            headers[name] = value
        if content:
            headers["Content-Length"] = str(len(content))
        return httpx.Request(
            sent["method"],
            address(host + sent["url"]),
            params=sent.get("params"),
            headers=headers,
            # Unlike content, it is taken for what the headers say already.
            stream=httpx.ByteStream(content or b""),
            extensions={"timeout": timeout.as_dict()},
        )

    def _common(
        self, client: httpx.Client | httpx.AsyncClient, method: str, host: str, key: str, content: bytes | None
    ) -> httpx.Headers:
        kind = (method, host, key, content is None)
        found = self._headers.get(kind)
        if found is None:
            made = client.build_request(method, host, headers=headers_with(key), content=content)
            found = self._headers[kind] = made.headers
        return httpx.Headers(found)


def headers_with(key: str) -> dict[str, str]:
    """Give the headers that go with every call."""
    return {"Accept": ACCEPT, API_KEY_HEADER: key}


def content_of(sent: Mapping[str, Any]) -> bytes | None:
    """Write the body of a request; None: it has none."""
    return _JSON.encode(sent["json"]).encode("utf-8") if "json" in sent else None


@functools.lru_cache(maxsize=256)
def address(text: str) -> httpx.URL:
    """Read an address; who asks for something will ask for it again."""
    return httpx.URL(text)
