"""A server on a real socket for one experiment that a test controls: long polls, outages, restarts."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from gradient_api.constants import TERMINAL_STATES, ExperimentState

from gradient_ext.logs import LogRange
from tests.unit.simulated import SimulatedLogs


class LiveServer:
    """One experiment with one job.

    :param bool holds: whether it supports long polls
    """

    def __init__(self, *, holds=True):
        self.holds = holds
        self.logs = SimulatedLogs(1)
        self.state = ExperimentState.RUNNING
        self.error = None
        self.requests = []
        self.changed = threading.Condition()
        self._connections = set()
        # A test that waits in vain fails then, rather than hang.
        self._ending = threading.Timer(20, self.change, kwargs={"state": ExperimentState.STOPPED})
        self._ending.daemon = True
        self._ending.start()
        self._port = 0
        self.start()

    def change(self, **attributes):
        """Change attributes, and respond to the long polls that wait for that."""
        with self.changed:
            for name, value in attributes.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def print(self, count, *, end=False):
        """Add rows to the log of the job."""
        with self.changed:
            self.logs.print(0, count)
            if end:
                self.logs.end(0)
            self.changed.notify_all()

    def wait_for(self, count, path="/jobs/logs", seconds=10):
        """Wait for a number of requests of a kind."""
        self.wait_until(lambda: len(self.asked(path)) >= count, seconds)

    def wait_until(self, condition, seconds=10):
        """Wait until a condition holds."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout=seconds), self.requests

    def connections(self):
        """Return the number of open connections."""
        return len(self._connections)

    def asked(self, path="/jobs/logs"):
        """Return the query parameters of the requests whose path ends in this."""
        return [query for asked, query in self.requests if asked.endswith(path)]

    def answer(self, path, query):
        with self.changed:
            self.requests.append((path, query))
            self.changed.notify_all()
            wait = float(query.get("wait", 0)) if self.holds else 0.0
            if path == "/jobs/logs":
                question = LogRange(int(query["line"]), int(query["limit"]))
                ended = TERMINAL_STATES
                self.changed.wait_for(lambda: self.logs.page(question) or self.state in ended, timeout=wait)
                rows = [
                    {"jobId": row.job_id, "line": row.line, "message": row.message, "timestamp": row.timestamp}
                    for row in self.logs.page(question)
                ]
                return (200, rows) if rows else (204, None)
            if path.endswith("/state/"):
                known = int(query.get("known", self.state))
                if self.state not in TERMINAL_STATES:
                    self.changed.wait_for(lambda: self.state != known, timeout=wait)
                return 200, {"data": {"handle": "es1", "state": self.state}}
            experiment = {"handle": "es1", "experimentTypeId": 1, "state": self.state, "experimentError": self.error}
            return 200, {"data": experiment}

    def start(self):
        """Listen, again at the same address after a stop."""
        live = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                with live.changed:
                    live._connections.add(self.connection)

            def finish(self):
                with live.changed:
                    live._connections.discard(self.connection)
                    live.changed.notify_all()
                super().finish()

            def do_GET(self):
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, body = live.answer(parts.path, query)
                raw = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """Ignore connections that break: they are broken on purpose."""

        self._http = Server(("127.0.0.1", self._port), Handler)
        self._port = self._http.server_port
        self.url = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """Stop listening, and close all connections."""
        self._ending.cancel()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
