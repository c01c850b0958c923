"""This client, used as its documentation says."""

from __future__ import annotations

import asyncio
import collections
import os
import tempfile
import threading
import time
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from gradient import AsyncExperimentsClient, ExperimentsClient


class Contender:
    """The client finds the server in the environment."""

    def __init__(self, places: dict[str, str]) -> None:
        self._client = ExperimentsClient()

    def get(self, handle: str) -> str:
        """Read an experiment."""
        return self._client.get(handle).id

    def create(self, parameters: dict[str, Any], body: object) -> int:
        """Create an experiment."""
        return len(self._client.create_single_node(**parameters))

    def list_all(self, count: int) -> int:
        """Read all experiments."""
        return len(self._client.list())

    def list_first(self, count: int) -> int:
        """Read some of many experiments."""
        return len(self._client.list(limit=count))

    def iter_experiments(self, count: int, page: int) -> int:
        """Read so many experiments of more, and keep none."""
        return sum(1 for _ in islice(self._client.iter_experiments(page_size=page), count))

    def page(self, handle: str, page: int) -> int:
        """Read one page of log rows."""
        return len(self._client.logs(handle, limit=page))

    def logs(self, handle: str, page: int) -> int:
        """Read all log rows, a page for each call."""
        count = line = 0
        while rows := self._client.logs(handle, line=line, limit=page):
            count += len(rows)
            line = rows[-1].line
        return count

    def yield_logs(self, handle: str, page: int) -> int:
        """Read all log rows from a generator, and keep none."""
        return sum(1 for _ in self._client.yield_logs(handle, limit=page))

    def latencies(self, handle: str) -> list[float]:
        """Follow a log, and return how many seconds old each row was."""
        rows = self._client.yield_logs(handle)
        return [time.time() - datetime.fromisoformat(row.timestamp).timestamp() for row in rows]

    def follow(self, handle: str, seconds: float) -> bool:
        """Follow a log for some seconds, and return whether it has not ended."""
        thread = threading.Thread(target=lambda: list(self._client.yield_logs(handle)), daemon=True)
        thread.start()
        thread.join(seconds)
        return thread.is_alive()

    def upload(self, folder: str) -> str:
        """Upload a folder."""
        return self._client.upload_workspace(folder)

    def upload_changed(self, folder: str) -> str:
        """Change each part of the files of a folder, and upload it."""
        for path in Path(folder).iterdir():
            with path.open("r+b") as file:
                for offset in range(0, path.stat().st_size, 2**20):
                    file.seek(offset)
                    file.write(os.urandom(8))
        return self.upload(folder)

    def download(self, handle: str, size: int, target: str) -> int:
        """Download artifacts to a new folder, and return how many files are there."""
        return len(self._client.download(handle, tempfile.mkdtemp(dir=target)))

    def many(self, count: int, at_once: int, parameters: dict[str, Any], body: object) -> int:
        """Create, start and await experiments, many of them at once."""
        return asyncio.run(_many(count, at_once, parameters))


async def _many(count: int, at_once: int, parameters: dict[str, Any]) -> int:
    states: collections.Counter[int] = collections.Counter()

    async def some(client: AsyncExperimentsClient) -> None:
        for _ in range(count // at_once):
            handle = await client.create_single_node(**parameters)
            await client.start(handle)
            states[(await client.wait(handle)).state] += 1

    async with AsyncExperimentsClient() as client:
        await asyncio.gather(*(some(client) for _ in range(at_once)))
    return states[max(states)]
