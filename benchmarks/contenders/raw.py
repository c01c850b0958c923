"""httpx with json.loads and nothing else, which no client on top of httpx can beat by much."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import tempfile
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES

_PART = 8 * 2**20


class Contender:
    """One httpx client with the key in its headers, as its documentation advises."""

    def __init__(self, places: dict[str, str]) -> None:
        self._places = places
        self._experiments = _experiments(places)
        self._client = httpx.Client(headers=_headers(places))

    def get(self, handle: str) -> str:
        """Read an experiment."""
        told: str = self._told(f"{self._experiments}{handle}/")["data"]["handle"]
        return told

    def create(self, parameters: dict[str, Any], body: dict[str, Any]) -> int:
        """Create an experiment."""
        return len(json.loads(self._client.post(self._experiments, json=body).content)["handle"])

    def list_all(self, count: int) -> int:
        """Read all experiments."""
        return len(self._told(self._experiments, limit=count)["data"])

    list_first = list_all

    def logs(self, handle: str, page: int) -> int:
        """Read all log rows, a page for each call."""
        count = line = 0
        while True:
            rows = self._told(f"{self._places['logs_url']}/jobs/logs", experimentId=handle, line=line, limit=page)
            count += len(rows)
            line = rows[-1]["line"]
            if rows[-1]["message"] == END_OF_LOG:
                return count - 1

    yield_logs = logs

    def upload_file(self, folder: str) -> int:
        """Read and send the only file of a folder in parts."""
        with Path(folder, "data.bin").open("rb") as file:
            return sum(self._send(part) for part in iter(lambda: file.read(_PART), b""))

    def upload_tar(self, folder: str) -> int:
        """Send the tar file of a folder in parts."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as file:
            file.add(folder, ".")
        made.seek(0)
        return sum(self._send(part) for part in iter(lambda: made.read(_PART), b""))

    def _send(self, part: bytes) -> int:
        address = f"{self._places['experiments_url']}workspaces/parts/{sha256(part).hexdigest()}/"
        answer = self._client.put(address, content=part, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 200, answer.text
        return len(part)

    def download(self, handle: str, size: int, target: str) -> int:
        """Read the bytes of all artifacts in one stream, and write files of this size."""
        folder = tempfile.mkdtemp(dir=target)
        count, left = 0, 0
        with self._client.stream("GET", f"{self._places['logs_url']}/raw") as response, ExitStack() as opened:
            for chunk in response.iter_bytes(min(size, 2**16)):
                if not left:
                    opened.close()
                    file = opened.enter_context(open(f"{folder}/{count}", "wb"))
                    count, left = count + 1, size
                left -= file.write(chunk)
        return count

    def many(self, count: int, at_once: int, parameters: dict[str, Any], body: dict[str, Any]) -> int:
        """Create, start and await experiments, many of them at once."""
        return asyncio.run(_many(self._places, count, at_once, body))

    def _told(self, url: str, **params: Any) -> Any:
        return json.loads(self._client.get(url, params=params or None).content)


async def _many(places: dict[str, str], count: int, at_once: int, body: dict[str, Any]) -> int:
    experiments = _experiments(places)
    ended = 0

    async def some(client: httpx.AsyncClient) -> None:
        nonlocal ended
        for _ in range(count // at_once):
            created = await client.post(experiments, json=body)
            url = f"{experiments}{json.loads(created.content)['handle']}/"
            await client.put(f"{url}start/")
            params: dict[str, float] = {}
            while True:
                # As this client does: a first request, then one for each change, without polling.
                answer = await client.get(f"{url}state/", params=params)
                state = json.loads(answer.content)["data"]["state"]
                if state in TERMINAL_STATES:
                    break
                params = {"wait": 20.0, "known": state}
            json.loads((await client.get(url)).content)
            ended += 1

    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(headers=_headers(places), limits=limits, timeout=60) as client:
        await asyncio.gather(*(some(client) for _ in range(at_once)))
    return ended


def _experiments(places: dict[str, str]) -> str:
    return f"{places['experiments_url']}experiments/"


def _headers(places: dict[str, str]) -> dict[str, str]:
    return {"X-API-Key": places["api_key"]}
