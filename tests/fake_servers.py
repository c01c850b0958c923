"""Servers on real sockets: one that plays a script of responses and faults, and one with an experiment that changes."""

import json
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from attrs import frozen
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES, ExperimentState

from gradient_ext.logs import LogRange
from tests.unit.simulated import SimulatedLogs

CREATED = {"handle": "es1", "message": "success"}
EXPERIMENT = {"data": {"handle": "es1", "experimentTypeId": 1, "state": ExperimentState.STOPPED}, "message": "success"}
LOGS, STATE = "/jobs/logs", "/state/"
"""The ends of the paths of logs and states."""
LAST_ROW = {"jobId": "js1", "line": 1, "message": END_OF_LOG, "timestamp": "2019-07-08T12:40:59.28Z"}


@frozen
class Request:
    """A request as it came."""

    method: str
    target: str
    """The path and the query."""
    header_items: list[tuple[str, str]]
    """All headers in their order and spelling, also those that came twice."""
    body: bytes
    peer: tuple[str, int]
    """The other end of its connection."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> Mapping[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case."""
        return {name.lower(): value for name, value in self.header_items}


class FakeServer:
    """Listen on a port of this machine, pass each request to `respond`, and close all connections in the end.

    :param context: the certificate of a server that speaks TLS, as an ssl.SSLContext
    """

    api_key = "sesame-key"

    def __init__(self, context=None):
        self.requests = []
        self.connection_count = 0
        """The number of connections that were opened so far."""
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self._connections = set()
        self._context = context
        self._port = 0
        self.start()

    def respond(self, request, handler):
        """Respond to a request."""
        raise NotImplementedError

    def start(self):
        """Listen, again at the same address after a stop."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            stopping = fake.stopping

            def setup(self):
                with fake.changed:
                    fake.connection_count += 1
                    fake._connections.add(self.request)
                self.accepted = self.request
                if fake._context:
                    self.request = fake._context.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self):
                super().finish()
                self.request.close()
                with fake.changed:
                    fake._connections.discard(self.accepted)
                    fake.changed.notify_all()

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, self.headers.items(), body, self.client_address)
                with fake.changed:
                    fake.requests.append(request)
                    fake.changed.notify_all()
                fake.respond(request, self)

            do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = respond

            def send(self, status, body, headers):
                self.send_response(status, "Fake")
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """Ignore connections that break: they are broken on purpose."""

        self.stopping.clear()
        self._http = Server(("127.0.0.1", self._port), Handler)
        self._port = self._http.server_port
        self.url = f"{'https://localhost' if self._context else 'http://127.0.0.1'}:{self._port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """Stop listening, and close all connections."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    @property
    def experiments_url(self):
        """The address of the experiments, by the name that it has at the local server."""
        return self.url

    @property
    def logs_url(self):
        """The address of the logs."""
        return self.url

    def connections(self):
        """Return the number of open connections."""
        return len(self._connections)

    def requests_to(self, path):
        """Return the requests whose path ends in this."""
        return [request for request in self.requests if request.path.endswith(path)]

    def wait_for(self, count, path, seconds=10):
        """Wait for so many requests whose path ends in this."""
        self.wait_until(lambda: len(self.requests_to(path)) >= count, seconds)

    def wait_until(self, condition, seconds=10):
        """Wait until a condition holds."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout=seconds), self.requests


def status(number, body=b"", **headers):
    """Respond with a status; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda handler: handler.send(number, raw, {"Content-Type": "application/json", **headers})


def raw(content):
    """Send bytes and close the connection."""

    def send(handler):
        handler.close_connection = True
        handler.wfile.write(content)

    return send


def drop(handler):
    """Close the connection without a response."""
    handler.close_connection = True


def cut(handler):
    """Close the connection after half of a response."""
    body = json.dumps(CREATED).encode()
    handler.send(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
    handler.close_connection = True


def half(handler):
    """Respond with half of a JSON document."""
    handler.send(200, json.dumps(CREATED).encode()[:-5], {})


def page(handler):
    """Respond with a web page, as the login page of a hotel does."""
    handler.send(200, b"<html><title>Welcome</title></html>", {"Content-Type": "text/html"})


def hang(handler):
    """Do not respond until the client gives up, or until a test has hung for long enough."""
    handler.connection.settimeout(5)
    handler.rfile.read(1)
    handler.close_connection = True


def drip(handler):
    """Send a byte now and then until the client gives up, or until a test has hung for long enough."""
    handler.send(200, b"", {"Content-Length": "1000000"})
    handler.close_connection = True
    for _ in range(250):
        if handler.stopping.wait(0.02):
            return
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


def endless(start, again, seconds=0.0):
    """Send a start, and the same again and again until the client gives up, or for at most five seconds."""

    def send(handler):
        handler.close_connection = True
        until = time.monotonic() + 5
        try:
            handler.wfile.write(start)
            while time.monotonic() < until and not handler.stopping.wait(seconds):
                handler.wfile.write(again)
        except OSError:
            return

    return send


class FlakyServer(FakeServer):
    """Play a script of responses and faults, one for each request, and respond well at its end.

    An experiment `es1` that has ended is all that there is.
    """

    def __init__(self, context=None):
        self.plan = []
        """The responses to the next requests: functions of the handler, such as `status(503)` or `drop`."""
        self.otherwise = respond_well
        """Returns the response to a request when the script is at its end."""
        super().__init__(context)

    def respond(self, request, handler):
        response = self.plan.pop(0) if self.plan else self.otherwise(request)
        response(handler)


def respond_well(request):
    """Return the response to a request about `es1`."""
    if "/entityTags/" in request.path:
        return status(200, {"es1": [{"tag": {"name": "best"}}]} if request.method == "GET" else [])
    if "/workspaces/" in request.path:
        return status(200, {"data": {"missing": [], "url": "upload:workspace/a6b168f9888970fc", "size": 10240}})
    if request.method != "GET":
        return status(200, CREATED)
    if request.path.endswith(LOGS):
        return status(200, [LAST_ROW])
    if request.path.endswith("/experiments/"):
        return status(200, {"data": [EXPERIMENT["data"]], "meta": {"totalItems": 1}})
    if request.path.endswith(("/artifacts/", "/metrics/", "/storage/")):
        return status(200, {"data": [], "meta": {"next": None}, "cursor": "0", "complete": True})
    if request.path.endswith("/removal/"):
        return status(200, {"data": {"handle": "es1", "done": True, "freed": 0}})
    return status(200, EXPERIMENT)


class LiveServer(FakeServer):
    """One experiment with one job, whose log grows and whose state changes. Long polls are held open.

    :param bool holds: whether it supports long polls
    """

    def __init__(self, *, holds=True):
        self.holds = holds
        self.logs = SimulatedLogs(1)
        self.state = ExperimentState.RUNNING
        self.error = self.remark = None
        super().__init__()
        # A test that waits in vain fails then, rather than hang.
        self._ending = threading.Timer(20, self.change, kwargs={"state": ExperimentState.STOPPED})
        self._ending.daemon = True
        self._ending.start()

    def stop(self):
        """Stop listening, and close all connections."""
        self._ending.cancel()
        super().stop()

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

    def long_polls(self, path):
        """Return the requests for a path which may be held open."""
        return [request for request in self.requests_to(path) if "wait" in request.query]

    def respond(self, request, handler):
        with self.changed:
            number, body = self._response(request)
        handler.send(number, b"" if body is None else json.dumps(body).encode(), {})

    def _response(self, request):
        query = request.query
        wait = float(query.get("wait", 0)) if self.holds else 0.0
        if request.path.endswith(LOGS):
            page = LogRange(int(query["line"]), int(query["limit"]))
            self.changed.wait_for(lambda: self.logs.page(page) or self.state in TERMINAL_STATES, timeout=wait)
            rows = [
                {"jobId": row.job_id, "line": row.line, "message": row.message, "timestamp": row.timestamp}
                for row in self.logs.page(page)
            ]
            return (200, rows) if rows else (204, None)
        if request.path.endswith(STATE):
            known = int(query.get("known", self.state))
            if self.state not in TERMINAL_STATES:
                self.changed.wait_for(lambda: self.state != known, timeout=wait)
            return 200, {"data": {"handle": "es1", "state": self.state}}
        experiment = {"handle": "es1", "experimentTypeId": 1, "state": self.state, "experimentError": self.error}
        if self.remark is not None:
            experiment["remark"] = self.remark
        return 200, {"data": experiment}
