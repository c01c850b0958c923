"""Headless Chromium, controlled through a pipe with the DevTools protocol; no other package is needed."""

import base64
import contextlib
import fcntl
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

PATIENCE = 30
"""Seconds after which a test gives up."""
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # a sandbox does not work in every container; the pages are ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes to descriptor 4. A shell cannot move descriptors above 9.
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class EvaluationError(Exception):
    """An expression failed, or the page was being left."""


class Chromium:
    """A browser with one window.

    :param Path profile: a new directory for its profile
    """

    def __init__(self, profile: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.errors: list[str] = []
        """Errors and warnings in the console, and requests that failed."""
        self.requests: list[str] = []
        """The URLs of all requests."""
        self._results: dict[int, queue.SimpleQueue] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._session: str | None = None
        self._loaded: set[str] = set()
        command_end, self._out = os.pipe()
        self._in, event_end = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (command_end, event_end)]
        command = [PROGRAM, *_OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *map(str, high), *command],
            pass_fds=high,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (command_end, event_end, *high):
            os.close(end)
        threading.Thread(target=self._read, daemon=True).start()
        target = next(
            found["targetId"] for found in self._call("Target.getTargets")["targetInfos"] if found["type"] == "page"
        )
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call("Page.setLifecycleEventsEnabled", enabled=True)
        self.resize(width, height)
        self.set_dark(dark)

    def resize(self, width: int, height: int) -> None:
        """Resize the window."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def set_dark(self, dark: bool) -> None:
        """Prefer dark or light pages."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def set_scripts(self, run: bool) -> None:
        """Turn the scripts of pages on or off."""
        self._call("Emulation.setScriptExecutionDisabled", value=not run)

    def type(self, text: str) -> None:
        """Type a text into the element that has the focus."""
        self._call("Input.insertText", text=text)

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        loader = self._call("Page.navigate", url=url)["loaderId"]
        deadline = time.monotonic() + PATIENCE
        while loader not in self._loaded:
            assert time.monotonic() < deadline, f"{url} did not load"
            time.sleep(0.01)

    def run(self, expression: str) -> object:
        """Return the value of an expression in JavaScript."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise EvaluationError(result["exceptionDetails"])
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = PATIENCE) -> object:
        """Wait until an expression in JavaScript is truthy, and return its value."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(EvaluationError):
                if value := self.run(expression):
                    return value
            assert time.monotonic() < deadline, f"{expression} did not become true on this page:\n{self.text()}"
            time.sleep(0.05)

    def text(self) -> str:
        """Return the text of the page."""
        return str(self.run("document.body.innerText"))

    def log_in(self, key: str) -> None:
        """Type the key into the login form and send it."""
        self.wait_for("document.querySelector('#key') !== null")
        self.run("document.querySelector('#key').focus()")
        self.type(key)
        self.run("document.querySelector('form.login button').click()")
        self.wait_for("location.pathname !== '/page/login' && document.readyState === 'complete'")

    def move_mouse(self, x: float, y: float) -> None:
        """Move the mouse to a point in the window."""
        self._mouse("mouseMoved", x, y)

    def drag_mouse(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Press the mouse at a point, move it to another one and release it."""
        self.move_mouse(x, y)
        self._mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        self._mouse("mouseMoved", to_x, to_y, button="left", buttons=1)
        self._mouse("mouseReleased", to_x, to_y, button="left", clickCount=1)

    def screenshot(self) -> bytes:
        """Return a screenshot as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser and its processes."""
        self._write({"id": 0, "method": "Browser.close"})
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        os.close(self._out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _mouse(self, event: str, x: float, y: float, **parameters: object) -> None:
        self._call("Input.dispatchMouseEvent", type=event, x=x, y=y, **parameters)

    def _call(self, method: str, **parameters: object) -> dict:
        with self._lock:
            self._number += 1
            number = self._number
            results = self._results[number] = queue.SimpleQueue()
            command = {"id": number, "method": method, "params": parameters}
            self._write({**command, "sessionId": self._session} if self._session else command)
        result = results.get(timeout=PATIENCE)
        if "error" in result:
            raise EvaluationError(method, result["error"])
        return result["result"]

    def _write(self, message: dict) -> None:
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]

    def _read(self) -> None:
        with os.fdopen(self._in, "rb") as stream:
            rest = b""
            while part := stream.read1():
                *whole, rest = (rest + part).split(b"\0")
                for message in map(json.loads, whole):
                    if message.get("id") in self._results:
                        self._results.pop(message["id"]).put(message)
                    elif "method" in message:
                        self._note(message["method"], message["params"])

    def _note(self, event: str, details: dict) -> None:
        match event:
            case "Page.lifecycleEvent" if details["name"] == "load":
                self._loaded.add(details["loaderId"])
            case "Runtime.consoleAPICalled" if details["type"] in ("error", "warning", "assert"):
                self.errors.append(f"console: {details['args']}")
            case "Runtime.exceptionThrown":
                self.errors.append(f"exception: {details['exceptionDetails']}")
            case "Log.entryAdded" if details["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"log: {details['entry']['text']} ({details['entry'].get('url')})")
            case "Network.requestWillBeSent":
                self.requests.append(details["request"]["url"])
            case "Network.responseReceived" if details["response"]["status"] >= 400:
                self.errors.append(f"{details['response']['status']} {details['response']['url']}")
            # A page that is left cancels its long poll.
            case "Network.loadingFailed" if not details.get("canceled"):
                self.errors.append(f"failed: {details['errorText']}")
