"""Prism, which read the contract by itself: as a judge between client and server, and as a server of its own."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

from contract import PREFIXES, SPEC, SPEC_PATH, document_for
from node import REPORTS, running

_READY = "Prism is listening on"


@contextlib.contextmanager
def judging(name: str, server_url: str, *, requests: bool) -> Iterator[dict[str, str]]:
    """Put a validating proxy before every prefix of a server; give the address of the proxy by the prefix.

    :param str name: what its files begin with
    :param str server_url: where the server is
    :param bool requests: whether requests are judged too, or let through so that the server can refuse them
    """
    calls = []
    for number, prefix in enumerate(PREFIXES, start=1):
        document = REPORTS / f"{name}-{number}.json"
        document.write_text(json.dumps(document_for(SPEC, prefix)), encoding="utf-8")
        judge = "true" if requests else "false"
        calls.append(["proxy", "--errors", "--validate-request", judge, "--port", "0", document, server_url + prefix])
    with running("prism", *calls, ready=_READY, log_name=name) as lines:
        yield dict(zip(PREFIXES, map(_address, lines), strict=True))


@contextlib.contextmanager
def mocking() -> Iterator[str]:
    """Let Prism make up a server from the contract; give its address, which is that of all paths."""
    call = ["mock", "--errors", "--dynamic", "--port", "0", SPEC_PATH]
    with running("prism", call, ready=_READY, log_name="mock") as lines:
        yield _address(lines[0])


def _address(line: str) -> str:
    found = re.search(r"http://[\w.:]+", line)
    assert found, line
    return found[0]
