"""The push gateway of a run: its commands push metrics to it, as to the Pushgateway of Prometheus.

It is a part of the supervisor, so that it is there for as long as the commands, with or without a server. Its address
has a secret that is good for nothing else.
"""

from __future__ import annotations

import secrets
import socketserver
import threading
import time
from collections.abc import Sequence
from typing import Any

from gradient_server.runners.supervised.exposition import Sample
from gradient_server.runners.supervised.log_file import RowWriter

_HOST = "127.0.0.1"


class PushGateway(socketserver.ThreadingTCPServer):
    """Receives metrics until it is closed. What was received is written when a push is answered.

    :param logs: what receives the metrics of each node
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, logs: Sequence[RowWriter]) -> None:
        super().__init__((_HOST, 0), socketserver.BaseRequestHandler)
        self._logs = logs
        self._lock = threading.Lock()
        self._is_closed = False
        self._secret = secrets.token_urlsafe(16)
        threading.Thread(target=self.serve_forever, name="push gateway", daemon=True).start()

    def url(self, index: int) -> str:
        """Return the URL for a node."""
        return f"http://{_HOST}:{self.server_address[1]}{self._prefix(index)}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Respond to a request."""
        from gradient_server.runners.supervised.push_handler import PushHandler

        PushHandler(request, client_address, self)

    def close(self) -> None:
        """Receive nothing from now on."""
        with self._lock:
            self._is_closed = True

    def find(self, path: str) -> tuple[int, str] | None:
        """Return the node in the path of a request, and the rest of the path; None: nothing is there."""
        for index in range(len(self._logs)):
            prefix = f"{self._prefix(index)}/"
            if secrets.compare_digest(path[: len(prefix)].encode(), prefix.encode()):
                return index, path[len(prefix) :]
        return None

    def keep(self, index: int, samples: Sequence[Sample]) -> None:
        """Write values to the file of a node.

        :raises OSError: that is impossible
        """
        with self._lock:
            if self._is_closed:
                raise OSError("the run has ended")
            self._logs[index].write(time.time(), [sample.encode() for sample in samples])

    def _prefix(self, index: int) -> str:
        return f"/{self._secret}/{index}"
