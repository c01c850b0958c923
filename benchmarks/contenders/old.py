"""The last published client of the hosted service, gradient 1.9.1, in an environment of its own."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any

from gradient import ExperimentsClient


class Contender:
    """The client finds the server in the environment, which it reads when it is imported."""

    def __init__(self, places: dict[str, str]) -> None:
        self._client = ExperimentsClient(api_key=places["api_key"])

    def get(self, handle: str) -> str:
        """Read an experiment."""
        return self._client.get(handle).id

    def create(self, parameters: dict[str, Any], body: object) -> int:
        """Create an experiment."""
        return len(self._client.create_single_node(**parameters))

    def list_all(self, count: int) -> int:
        """Read all experiments, in one page, whose size has to be given."""
        return len(self._client.list(limit=count))

    def logs(self, handle: str, page: int) -> int:
        """Read all log rows, a page for each call; the last row marks the end."""
        count = line = 0
        while True:
            rows = self._client.logs(handle, line=line, limit=page)
            count += len(rows)
            line = rows[-1].line
            if rows[-1].message == "PSEOF":
                return count - 1

    def yield_logs(self, handle: str, page: int) -> int:
        """Read all log rows from a generator, and keep none."""
        return sum(1 for _ in self._client.yield_logs(handle, line=0, limit=page))

    def latencies(self, handle: str) -> list[float]:
        """Follow a log, and return how many seconds old each row was."""
        rows = self._client.yield_logs(handle, line=0)
        return [time.time() - datetime.fromisoformat(row.timestamp).timestamp() for row in rows]

    def follow(self, handle: str, seconds: float) -> bool:
        """Follow a log for some seconds, and return whether it has not ended."""
        thread = threading.Thread(target=lambda: list(self._client.yield_logs(handle, line=0)), daemon=True)
        thread.start()
        thread.join(seconds)
        return thread.is_alive()
