"""The asynchronous client is the other one with `await` in it: names, parameters, defaults, types and documentation."""

import inspect
import re
from pathlib import Path

import pytest

from gradient import AsyncExperimentsClient, ExperimentsClient

OPENAPI = Path(__file__).parents[2] / "openapi"
SAID_OTHERWISE = {
    "AsyncExperimentsClient": "ExperimentsClient",
    "httpx.AsyncClient": "httpx.Client",
    "an asynchronous generator of": "a generator of",
    "an `async with` statement": "a `with` statement",
    ">>> async with": ">>> with",
    "await client.": "client.",
    "async for": "for",
    "AsyncGenerator[BaseExperiment, None]": "Generator[BaseExperiment, None, None]",
    "AsyncGenerator[LogRow, None]": "Generator[LogRow, None, None]",
}
RENAMED = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
GENERATORS = {"yield_logs", "iter_experiments"}
AT_ONCE = {"with_options"}


def public(kind):
    shown = (
        name for name in dir(kind) if not name.startswith("_") or name in {*RENAMED, *RENAMED.values(), "__init__"}
    )
    return {RENAMED.get(name, name): getattr(kind, name) for name in shown}


def said(text):
    for otherwise, plain in SAID_OTHERWISE.items():
        text = text.replace(otherwise, plain)
    return re.sub(r"\s+", " ", text)


def test_both_have_the_same_methods():
    """No more, and no less."""
    assert set(public(AsyncExperimentsClient)) == set(public(ExperimentsClient))


@pytest.mark.parametrize("name", sorted(public(ExperimentsClient)))
def test_a_method_is_the_same_in_both(name):
    """It takes the same, by the same names and with the same defaults, gives the same, and is said to do the same."""
    plain, twin = public(ExperimentsClient)[name], public(AsyncExperimentsClient)[name]
    assert said(str(inspect.signature(twin))) == str(inspect.signature(plain)).replace("  ", " ")
    assert said(inspect.getdoc(twin) or "") == said(inspect.getdoc(plain) or "")
    is_awaited = inspect.iscoroutinefunction(twin)
    assert is_awaited == (name not in {*GENERATORS, *AT_ONCE, "__init__"})
    assert not inspect.iscoroutinefunction(plain)


def test_the_classes_say_the_same():
    """About themselves, and in their repr."""
    assert said(inspect.getdoc(AsyncExperimentsClient)) == said(inspect.getdoc(ExperimentsClient))
    clients = [kind("a-key", base_url="http://localhost") for kind in (ExperimentsClient, AsyncExperimentsClient)]
    assert said(repr(clients[1])) == repr(clients[0])
    clients[0].close()


def test_a_rule_that_finds_nothing_is_an_error(monkeypatch):
    """Otherwise a method could stay without its `await`."""
    monkeypatch.syspath_prepend(str(OPENAPI))
    twins = __import__("twins")
    monkeypatch.setattr(twins, "RULES", (*twins.RULES, ("something that is nowhere", "")))
    with pytest.raises(ValueError, match="something that is nowhere"):
        twins.fresh_twins()
