"""Send requests faster than any client: they are prepared in advance, and only the ends of responses are looked for.

The throughput of a server shows only if its client is faster.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def request(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a request as bytes."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    length = {"Content-Length": str(len(body)), "Content-Type": "application/json"} if body else {}
    fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": parts.netloc, **headers, **length}.items())
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode() + body


def requests_a_second(url: str, text: bytes, seconds: float, connections: int) -> float:
    """Return how many requests a second are answered on some connections."""
    return asyncio.run(_requests_a_second(url, text, seconds, connections))


async def _requests_a_second(url: str, text: bytes, seconds: float, connections: int) -> float:
    began = time.perf_counter()
    counts = await asyncio.gather(*(_asked(url, text, began + seconds) for _ in range(connections)))
    return sum(counts) / (time.perf_counter() - began)


async def _asked(url: str, text: bytes, end: float) -> int:
    reader, writer = await _opened(url)
    count = 0
    while time.perf_counter() < end:
        writer.write(text)
        await _answered(reader)
        count += 1
    writer.close()
    return count


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"The server answers {head.splitlines()[0].decode()}")
    found = _LENGTH.search(head)
    await reader.readexactly(int(found[1]) if found else 0)


async def held(url: str, text: bytes, count: int) -> list[asyncio.StreamWriter]:
    """Send a request on a number of connections, without waiting for responses."""
    writers = [(await _opened(url))[1] for _ in range(count)]
    for writer in writers:
        writer.write(text)
    return writers


async def _opened(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
