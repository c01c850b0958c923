"""Chromium without a window, told what to do over a pipe in the DevTools protocol: nothing else has to be installed.

What it notes, messages of the console and requests that failed, is there to be looked at when a test ends.
"""

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
"""Seconds after which something that should have happened will not happen any more."""
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # a container may not have what a sandbox needs; what is shown is ours
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
# The program reads what we write as 3, and writes what we read as 4. Shells cannot move descriptors above 9.
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class NotNow(Exception):
    """An expression could not be looked at: it failed, or the page is being left."""


class Chromium:
    """A browser with one window. It keeps its profile in a directory, which is to be a new one."""

    def __init__(self, profile: Path, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.complaints: list[str] = []
        """What the console and the network complained about."""
        self.addresses: list[str] = []
        """Everything that was asked for."""
        self._answers: dict[int, queue.SimpleQueue] = {}
        self._lock = threading.Lock()
        self._number = 0
        self._session: str | None = None
        self._loaded: set[str] = set()
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        command = [PROGRAM, *_OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, *map(str, high), *command],
            pass_fds=high,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        threading.Thread(target=self._read, daemon=True).start()
        target = next(
            found["targetId"] for found in self._tell("Target.getTargets")["targetInfos"] if found["type"] == "page"
        )
        self._session = self._tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Runtime", "Log", "Network"):
            self._tell(f"{room}.enable")
        self._tell("Page.setLifecycleEventsEnabled", enabled=True)
        self.resize(width, height)
        self.set_dark(dark)

    def resize(self, width: int, height: int) -> None:
        """Have a window of another size."""
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def set_dark(self, dark: bool) -> None:
        """Prefer dark pages, or light ones."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])

    def set_scripts(self, run: bool) -> None:
        """Run scripts of pages, or do not."""
        self._tell("Emulation.setScriptExecutionDisabled", value=not run)

    def open(self, url: str) -> None:
        """Go somewhere, and wait until it is there."""
        loader = self._tell("Page.navigate", url=url)["loaderId"]
        deadline = time.monotonic() + PATIENCE
        while loader not in self._loaded:
            assert time.monotonic() < deadline, f"{url} did not load"
            time.sleep(0.01)

    def run(self, expression: str) -> object:
        """Give the value of an expression in JavaScript."""
        told = self._tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise NotNow(told["exceptionDetails"])
        return told["result"].get("value")

    def wait_for(self, expression: str, seconds: float = PATIENCE) -> object:
        """Wait until an expression in JavaScript has a value that counts as true; give it."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(NotNow):
                if value := self.run(expression):
                    return value
            assert time.monotonic() < deadline, f"{expression} does not come true on this page:\n{self.text()}"
            time.sleep(0.05)

    def text(self) -> str:
        """Give what can be read on the page."""
        return str(self.run("document.body.innerText"))

    def log_in(self, key: str) -> None:
        """Give the key, as people do."""
        self.wait_for("document.querySelector('#key') !== null")
        self.run("document.querySelector('#key').focus()")
        self._tell("Input.insertText", text=key)
        self.run("document.querySelector('form.login button').click()")
        self.wait_for("location.pathname !== '/page/login' && document.readyState === 'complete'")

    def picture(self) -> bytes:
        """Give what is seen, as PNG."""
        return base64.b64decode(self._tell("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End it, with all of its processes."""
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

    def _tell(self, method: str, **parameters: object) -> dict:
        with self._lock:
            self._number += 1
            number = self._number
            answers = self._answers[number] = queue.SimpleQueue()
            told = {"id": number, "method": method, "params": parameters}
            self._write({**told, "sessionId": self._session} if self._session else told)
        answer = answers.get(timeout=PATIENCE)
        if "error" in answer:
            raise NotNow(method, answer["error"])
        return answer["result"]

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
                    if message.get("id") in self._answers:
                        self._answers.pop(message["id"]).put(message)
                    elif "method" in message:
                        self._note(message["method"], message["params"])

    def _note(self, event: str, told: dict) -> None:
        match event:
            case "Page.lifecycleEvent" if told["name"] == "load":
                self._loaded.add(told["loaderId"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(f"console: {told['args']}")
            case "Runtime.exceptionThrown":
                self.complaints.append(f"exception: {told['exceptionDetails']}")
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"log: {told['entry']['text']} ({told['entry'].get('url')})")
            case "Network.requestWillBeSent":
                self.addresses.append(told["request"]["url"])
            case "Network.responseReceived" if told["response"]["status"] >= 400:
                self.complaints.append(f"{told['response']['status']} {told['response']['url']}")
            # A page that is left lets go of its long poll; that is no failure.
            case "Network.loadingFailed" if not told.get("canceled"):
                self.complaints.append(f"failed: {told['errorText']}")
