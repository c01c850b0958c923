"""Write the asynchronous twins of what sends: the same code with `await` in it, so that neither can drift apart.

What decides has no I/O and is shared; what is left of the client is so little that its asynchronous twin follows from
it word by word. Every rule has to find something, or it is stale.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "gradient_ext"
TWINS = {f"{name}.py": f"async_{name}.py" for name in ("client", "connections", "session", "transport")}
HEADER = "# Written from {source} by `make generate`. Do not edit.\n"

# What waits for the network, and so is defined and called as a coroutine.
_SENDS = "send|ask|_attempt|_outcome|_exchange|drop|tidy|close"
_PLACE = r"(?:self\.(?:_transport\.|_?connections\.)?|transport\.)"
_PUBLIC = "list|wait|get|state|logs|start|stop|delete|(?:create|run)_(?:single|multi)_node"
RULES = (
    (rf"^( *)def ({_SENDS}|{_PUBLIC})\(", r"\1async def \2("),
    (r"\bdef __(enter|exit)__", r"async def __a\1__"),
    (r"\bdef (carry_out|walk)\(", r"async def \1("),
    (rf"(?<![\w.])({_PLACE}(?:{_SENDS})\()", r"await \1"),
    (r"\bline\.close\(\)", "await line.aclose()"),
    (r"^( *)yield from (.*)$", r"\1for each in \2:\n\1    yield each"),
    (r"\bGenerator\[(\w+), None, None\]", r"AsyncGenerator[\1, None]"),
    (r"\bimport (.*)\bGenerator\b", r"import \1AsyncGenerator"),
    (r"\bwith closing\(", "async with aclosing("),
    (r"\bwith self\.connections\.places\b", "async with self.connections.places"),
    (r"\bPlaces\b", "AsyncPlaces"),
    (r"\bimport closing\b", "import aclosing"),
    (r"\bfor (state in states|attempt in attempts\.each\(\)|chunk in response)", r"async for \1"),
    # What cannot be interrupted looks at the clock; what can be is, also while it waits.
    (r"^( *)(outcome: .* = await self\._exchange\(.*\))$", r"\1with anyio.fail_after(exchange.remaining):\n\1    \2"),
    (r"^ *exchange\.check_time\(\)\n", ""),
    (r"\bclient\.send\(", "await client.send("),
    (r"\bresponse\.close\(", "await response.aclose("),
    (r"\biter_bytes\(", "aiter_bytes("),
    (r"\btime\.sleep\(", "await anyio.sleep("),
    (r"^import time\n", "import time\n\nimport anyio\n"),
    (r"\bhttpx\.Client\b", "httpx.AsyncClient"),
    (r"\bimport process as home\b", "import process_and_loop as home"),
    (r"\bgradient_ext\.(connections|session|transport)\b", r"gradient_ext.async_\1"),
    (r"\b(ExperimentsClient|Session|Connections|Transport)\b", r"Async\1"),
    (r"\ba `with` statement", "an `async with` statement"),
    (r">>> with ", ">>> async with "),
    (rf"^( *>>> .*?)\bclient\.({_PUBLIC}|close)\(", r"\1await client.\2("),
    (r"\bfor (\w+) in client\.(yield_logs|iter_experiments)\(", r"async for \1 in client.\2("),
    (r"\ba generator of\b", "an asynchronous generator of"),
)


def twin_of(sources: dict[str, str]) -> dict[str, str]:
    """Give the text of each twin by its name.

    :param sources: the texts of the files that have twins, by their names

    :raises ValueError: a rule has found nothing
    """
    found = dict.fromkeys(RULES, 0)
    twins = {}
    for name, text in sources.items():
        for rule in RULES:
            text, count = re.subn(*rule, text, flags=re.MULTILINE)
            found[rule] += count
        twins[TWINS[name]] = HEADER.format(source=name) + text
    if stale := [pattern for (pattern, _), count in found.items() if not count]:
        raise ValueError(f"These rules find nothing any more: {', '.join(stale)}")
    return {name: _formatted(text) for name, text in twins.items()}


def fresh_twins() -> dict[Path, str]:
    """Give the text that each twin should have, by its path."""
    sources = {name: (PACKAGE / name).read_text(encoding="utf-8") for name in TWINS}
    return {PACKAGE / name: text for name, text in twin_of(sources).items()}


def _formatted(text: str) -> str:
    for command in (["check", "--fix-only", "--select=I,F401"], ["format"]):
        arguments = [sys.executable, "-m", "ruff", *command, "--quiet", "--line-length=120", "--isolated", "-"]
        # As first party, or the imports would be sorted otherwise than in the source.
        if command[0] == "check":
            arguments[-1:-1] = ["--config", 'lint.isort.known-first-party=["gradient_ext"]']
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout
    return text
