"""A Ray cluster for tests: the HTTP APIs that the server uses, and jobs as processes of this machine."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from attrs import define

DRIVER = Path(__file__).with_name("local_driver.py")
MACHINES = [
    {"state": "ALIVE", "node_name": "m1", "node_ip": "10.0.0.1", "resources_total": {"CPU": 8.0, "memory": 16e9}},
    {"state": "ALIVE", "node_name": "m2", "node_ip": "10.0.0.2", "resources_total": {"CPU": 4.0, "GPU": 2.0}},
    {"state": "DEAD", "node_name": "m3", "node_ip": "10.0.0.3", "resources_total": {"CPU": 64.0}},
]


@define
class LocalJob:
    process: subprocess.Popen
    request: dict[str, Any]
    errors: Path
    is_stopped: bool = False

    def describe(self, agent: str) -> dict[str, Any]:
        code = self.process.poll()
        status = "RUNNING" if code is None else "STOPPED" if self.is_stopped else "FAILED" if code else "SUCCEEDED"
        message = f"Job entrypoint command failed with exit code {code}, last available logs:\n"
        message += self.errors.read_text(errors="replace")
        return {"status": status, "message": message if code else "", "driver_agent_http_address": agent}


class LocalCluster:
    """Serves until it is closed. What is a fault of a cluster is an attribute that tests set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        for each in (self.logs, folder / "claims"):
            each.mkdir()
        self.version = "2.60.0"
        self.session = "session_1"
        self.token: str | None = None
        self.machines = MACHINES
        self.has_autoscaler = False
        self.is_reachable = True
        self.jobs: dict[str, LocalJob] = {}
        self.packages: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path of each request that was answered."""
        self.on_request: Callable[[str, str], object] = lambda method, path: None
        """Called before a request is answered; what it raises breaks the connection."""
        self.after_request: Callable[[str, str], object] = lambda method, path: None
        """Called before the answer is sent; what it raises breaks the connection."""
        self.cut: Callable[[str, bytes], bytes] = lambda path, content: content
        """Returns how much of a file comes before the connection breaks."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def start_anew(self) -> None:
        """Lose all jobs, as when a head is killed that keeps nothing."""
        self.kill_drivers()
        self.jobs.clear()
        self.session += "_anew"

    def kill_drivers(self) -> None:
        for job in self.jobs.values():
            if job.process.poll() is None:
                job.process.kill()
            job.process.wait()

    @property
    def is_busy(self) -> bool:
        """Whether drivers wait for machines."""
        return (self.folder / "busy").exists()

    @is_busy.setter
    def is_busy(self, busy: bool) -> None:
        (self.folder / "busy").touch() if busy else (self.folder / "busy").unlink(missing_ok=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.kill_drivers()

    def answer(self, method: str, path: str, content: bytes) -> tuple[int, bytes]:
        match method, *path.strip("/").split("/"):
            case "GET", "api", "version":
                return 200, json.dumps({"ray_version": self.version, "session_name": self.session}).encode()
            case "GET", "api", "v0", "nodes":
                return 200, json.dumps({"data": {"result": {"result": self.machines}}}).encode()
            case "GET", "api", "cluster_status":
                types = {"1": "node_1", "2": "node_2" if not self.has_autoscaler else "worker"}
                status = {"autoscalerReport": {"nodeTypeMapping": types}}
                return 200, json.dumps({"data": {"clusterStatus": status}}).encode()
            case "PUT", "api", "packages", "gcs", name:
                self.packages[f"gcs://{name}"] = content
                return 200, b""
            case "POST", "api", "jobs":
                return self._submit(json.loads(content))
            case method, "api", "jobs", id, *action:
                return self._act_on(id, method, action)
        return 404, b"no such path"

    def _submit(self, request: dict[str, Any]) -> tuple[int, bytes]:
        id = request["submission_id"]
        with self._lock:
            if id in self.jobs:
                return 400, f"ValueError: Job with submission_id {id} already exists.".encode()
            package = self.folder / f"package-{len(self.jobs)}-{id}"
            with zipfile.ZipFile(io.BytesIO(self.packages[request["runtime_env"]["working_dir"]])) as archive:
                archive.extractall(package)
            errors = package / "errors"
            with errors.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-X", "utf8", str(DRIVER), str(self.logs)],
                    cwd=package,
                    env={**os.environ, "PYTHONPATH": str(package / "code.zip")},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            self.jobs[id] = LocalJob(process, request, errors)
        return 200, json.dumps({"submission_id": id}).encode()

    def _act_on(self, id: str, method: str, action: list[str]) -> tuple[int, bytes]:
        job = self.jobs.get(id)
        if job is None:
            return 404, f"Job {id} does not exist".encode()
        if (method, action) == ("POST", ["stop"]):
            job.is_stopped = job.is_stopped or job.process.poll() is None
            job.process.send_signal(signal.SIGTERM)
        elif method == "DELETE":
            del self.jobs[id]
        return 200, json.dumps(job.describe(self.url)).encode()

    def read(self, path: str, wanted: str) -> tuple[int, bytes]:
        """Return a part of a file, as a header `Range` asks for it."""
        begin, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", wanted).groups())
        try:
            content = (self.logs / path.removeprefix("/logs/")).read_bytes()
        except FileNotFoundError:
            return 404, b""
        return (206, content[begin : end + 1]) if begin < len(content) else (416, b"")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    if not cluster.is_reachable:
                        raise ConnectionError
                    cluster.on_request(self.command, path)
                    status, content = self.respond(path, body)
                    cluster.requests.append((self.command, path))
                    cluster.after_request(self.command, path)
                except ConnectionError:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                sent = cluster.cut(path, content) if path.startswith("/logs/") else content
                self.wfile.write(sent)
                self.close_connection = len(sent) < len(content)

            do_POST = do_PUT = do_DELETE = do_GET

            def respond(self, path: str, body: bytes) -> tuple[int, bytes]:
                given = self.headers.get("Authorization")
                if cluster.token and given != f"Bearer {cluster.token}":
                    return (403, b"Forbidden") if given else (401, b"Unauthorized")
                if path.startswith("/logs/"):
                    return cluster.read(path, self.headers["Range"])
                return cluster.answer(self.command, path, body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
