"""Shared by the tests of the dashboard: a visitor that has cookies as a browser does, and runs to look at."""

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
"""Seconds after which a test gives up."""


@dataclass(frozen=True)
class Page:
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def text(self) -> str:
        """The text that people can read, without elements and unescaped."""
        return html.unescape(re.sub(r"<[^>]*>", " ", self.body))

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    def attribute(self, name: str) -> str:
        """Return the value of the first attribute with a name."""
        return html.unescape(re.search(f'{name}="([^"]*)"', self.body)[1])

    def cells(self, table: str) -> list[list[str]]:
        """Return the texts of the cells in the body of a table."""
        body = re.search(f'<tbody id="{table}">(.*?)</tbody>', self.body, re.DOTALL)[1]
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        return [
            [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", row, re.DOTALL)]
            for row in rows
        ]


class Visitor:
    """Sends requests and keeps cookies; it does not follow redirects."""

    def __init__(self, url: str, key: str) -> None:
        self._host = urlsplit(url)
        self._key = key
        self.cookies: dict[str, str] = {}

    def __call__(self, method: str, path: str, form: dict | bytes | None = None, **headers: str) -> Page:
        connection = http.client.HTTPConnection(self._host.hostname, self._host.port, timeout=PATIENCE)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form).encode() if isinstance(form, dict) else form
        connection.request(method, path, body, {name: value for name, value in headers.items() if value})
        response = connection.getresponse()
        page = Page(response.status, response.headers, response.read().decode())
        connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return page

    def get(self, path: str) -> Page:
        return self("GET", path)

    def log_in(self, to: str = "/page/") -> Page:
        return self("POST", "/page/login", {"key": self._key, "to": to})


@pytest.fixture
def stranger(gradient_server) -> Visitor:
    """A visitor without a session."""
    return Visitor(gradient_server.url, gradient_server.api_key)


@pytest.fixture
def visitor(stranger) -> Visitor:
    """A visitor with a session."""
    assert stranger.log_in().status == 303
    return stranger


@pytest.fixture
def run(client, single_node) -> Callable[..., str]:
    """Run an experiment on one node and return its handle."""

    def run(start=True, **parameters):
        names = {"rows": "LOG_LINES", "seconds": "SECONDS", "outcome": "OUTCOME"}
        options = {f"GRADIENT_MOCK_{names[name]}": parameters.pop(name) for name in names if name in parameters}
        request = {**single_node, "experiment_env": options, **parameters}
        return client.run_single_node(**request) if start else client.create_single_node(**request)

    return run
