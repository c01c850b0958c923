"""What the tests of the page share: somebody who visits it, as a browser does but for what it looks like."""

import html
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

import pytest

PATIENCE = 20


@dataclass(frozen=True)
class Seen:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def text(self) -> str:
        """What can be read: no elements, and nothing escaped."""
        return html.unescape(re.sub(r"<[^>]*>", " ", self.body))

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class Visitor:
    """Keeps cookies, and goes where it is sent only when it is told to."""

    def __init__(self, url: str, key: str) -> None:
        self._place = urlsplit(url)
        self._key = key
        self.cookies: dict[str, str] = {}

    def __call__(self, method: str, path: str, form: dict | bytes | None = None, **headers: str) -> Seen:
        connection = http.client.HTTPConnection(self._place.hostname, self._place.port, timeout=PATIENCE)
        given = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        if form is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode() if isinstance(form, dict) else form
        connection.request(method, path, body, {name: value for name, value in given.items() if value})
        response = connection.getresponse()
        seen = Seen(response.status, response.headers, response.read().decode())
        connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return seen

    def get(self, path: str) -> Seen:
        return self("GET", path)

    def log_in(self, to: str = "/") -> Seen:
        return self("POST", "/page/login", {"key": self._key, "to": to})


@pytest.fixture
def stranger(gradient_server) -> Visitor:
    """Somebody who has not given the key."""
    return Visitor(gradient_server.url, gradient_server.api_key)


@pytest.fixture
def visitor(stranger) -> Visitor:
    """Somebody who has."""
    assert stranger.log_in().status == 303
    return stranger


@pytest.fixture
def run(client, single_node) -> Callable[..., str]:
    """Run an experiment of one node; its id."""

    def run(start=True, **given):
        names = {"rows": "LOG_LINES", "seconds": "SECONDS", "outcome": "OUTCOME"}
        wishes = {f"GRADIENT_MOCK_{wish}": given.pop(name) for name, wish in names.items() if name in given}
        body = {**single_node, "experiment_env": wishes, **given}
        return client.run_single_node(**body) if start else client.create_single_node(**body)

    return run
