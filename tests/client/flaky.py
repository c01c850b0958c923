"""A server on a real socket that injects a planned fault into each request, and then responds well."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CREATED = {"handle": "es1", "message": "success"}
EXPERIMENT = {"data": {"handle": "es1", "experimentTypeId": 1, "state": 4}, "message": "success"}


def status(number, body=b"", **headers):
    """Respond with a status."""

    def act(handler):
        handler.give(number, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)

    return act


def drop(handler):
    """Close the connection without a response."""
    handler.close_connection = True


def cut(handler):
    """Close the connection after half of a response."""
    body = json.dumps(CREATED).encode()
    handler.give(200, body[: len(body) // 2], {"Content-Length": str(len(body))})
    handler.close_connection = True


def half(handler):
    """Respond with half of a JSON document."""
    handler.give(200, json.dumps(CREATED).encode()[:-5], {})


def page(handler):
    """Respond with a web page, as the login page of a hotel does."""
    handler.give(200, b"<html><title>Welcome</title></html>", {"Content-Type": "text/html"})


def hang(handler):
    """Do not respond until the client gives up, or until a test has hung for long enough."""
    handler.connection.settimeout(5)
    handler.rfile.read(1)
    handler.close_connection = True


def drip(handler):
    """Send a byte now and then until the client gives up, or until a test has hung for long enough."""
    handler.give(200, b"", {"Content-Length": "1000000"})
    handler.close_connection = True
    for _ in range(250):
        if handler.server.stopping.wait(0.02):
            return
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


class FlakyServer:
    """Follows a plan of faults, then responds well. It records the requests.

    :param context: the certificate of a server that speaks TLS, as an ssl.SSLContext
    """

    def __init__(self, context=None):
        self.plan = []
        self.requests = []
        self.headers = []
        """The headers of each request as they came, also what came twice."""
        self.connections = 0
        self.peers = []
        """The other end of the connection of each request."""
        flaky = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                flaky.connections += 1
                if context:
                    self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self):
                super().finish()
                self.request.close()

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                flaky.headers.append(self.headers.items())
                headers = {name.lower(): value for name, value in self.headers.items()}
                flaky.requests.append((self.command, self.path, headers, body))
                flaky.peers.append(self.client_address)
                act = flaky.plan.pop(0) if flaky.plan else status(200, CREATED if body else EXPERIMENT)
                act(self)

            def give(self, number, body, headers):
                self.send_response(number, "Flaky")
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request, client_address):
                """Ignore connections that break: they are broken on purpose."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.stopping = threading.Event()
        self.url = f"{'https://localhost' if context else 'http://127.0.0.1'}:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self._http.stopping.set()
        self._http.shutdown()
        self._http.server_close()
