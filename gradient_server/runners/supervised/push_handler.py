"""The HTTP of the push gateway."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from gradient_server.runners.supervised.exposition import parse_group, parse_samples

if TYPE_CHECKING:
    from gradient_server.runners.supervised.push_gateway import PushGateway

MAX_BODY_SIZE = 1024 * 1024
"""Bytes of a push."""


class PushHandler(BaseHTTPRequestHandler):
    """Receives one push."""

    timeout = 30
    """Seconds to wait for the rest of a request."""

    def __init__(self, request: Any, client_address: Any, gateway: PushGateway) -> None:
        self._gateway = gateway
        super().__init__(request, client_address, gateway)  # responds

    def do_POST(self) -> None:
        """Receive metrics."""
        found = self._gateway.find(self.path)
        length = self.headers.get("Content-Length", "")
        if found is None:
            return self._respond(404, "this is not the address of the run")
        if not (length.isascii() and length.isdecimal()):
            return self._respond(411, "Content-Length is missing")
        if int(length) > MAX_BODY_SIZE:
            return self._respond(413, f"a push has at most {MAX_BODY_SIZE} bytes")
        if "protobuf" in self.headers.get("Content-Type", "") or self.headers.get("Content-Encoding"):
            return self._respond(415, "only the text format is read, without compression")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return self._respond(400, "the body is not complete")
        index, path = found
        try:
            samples = parse_samples(body, parse_group(path))
        except ValueError as error:
            return self._respond(400, str(error))
        try:
            self._gateway.keep(index, samples)
        except OSError as error:
            return self._respond(503, f"the metrics cannot be kept: {error.strerror or error}")
        return self._respond(200, "OK")

    do_PUT = do_POST

    def do_DELETE(self) -> None:
        """Do nothing: what was pushed is part of the run."""
        self._respond(404 if self._gateway.find(self.path) is None else 202, "nothing is deleted")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _respond(self, status: int, text: str) -> None:
        """Respond; the text is the reason phrase, too, which is all of an error that `urllib` shows."""
        printable = text.encode("ascii", "backslashreplace").decode()
        self.send_response(status, "".join(c if c.isprintable() else " " for c in printable)[:300])
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(printable) + 1))
        self.end_headers()
        self.wfile.write(f"{printable}\n".encode())
