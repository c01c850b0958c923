"""Derive the synchronous client from the asynchronous one, by rules that name no method.

A line that ends in `# sync: CODE` becomes CODE, and goes where there is none: for the few places where the two differ.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "gradient_ext"
DERIVED = {
    "async_base_client.py": "base_client.py",
    "async_client.py": "client.py",
    "async_downloads.py": "downloads.py",
    "async_projects_client.py": "projects_client.py",
    "async_reader.py": "reader.py",
    "async_tags.py": "tags.py",
    "async_transport.py": "transport.py",
    "async_uploads.py": "uploads.py",
}
HEADER = "# Derived from {source} by `make generate`. Do not edit.\n"

_INNER = r"((?:[^\[\]]|\[[^\[\]]*\])+)"
RULES = (
    (r"^( *)(?:.*\S *)?# sync:(?: *)(.*)$", r"\1\2"),
    (r"\b([Aa])n (`?)async(?:hronous)? ", r"\1 \2"),
    (r"\basync(?:hronous)? ", ""),
    (r"\bawait ", ""),
    (rf"\bAsyncGenerator\[{_INNER}, None\]", r"Generator[\1, None, None]"),
    (rf"\bAwaitable\[{_INNER}\]", r"\1"),
    (r"(\b_?|Stop)Async(?=[A-Z])", r"\1"),
    (r"(\b|_)async_(?=[a-z])", r"\1"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\basyncio_detailed\b", "sync_detailed"),
    (r"\b__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\ba(close|closing|next|read|iter(?:_\w+)?)\b", r"\1"),
    (r"^import anyio$", "import threading, time"),
    (r"\banyio\.sleep\b", "time.sleep"),
    (r"\banyio\.(Lock|Semaphore)\b", r"threading.\1"),
)


def derive(source: str, name: str = "async_client.py") -> str:
    """Return the synchronous text of an asynchronous module.

    :param source: the text of the module
    :param name: its file name, for the header and for errors

    :raises SyntaxError: the result does not compile; the line number is that of the source
    """
    for rule in RULES:
        source = re.sub(*rule, source, flags=re.MULTILINE)
    compile(source, name, "exec", dont_inherit=True)
    formatted = _ruff(source, "check", "--fix-only", "--unsafe-fixes", "--select=I,F401,UP028")
    return HEADER.format(source=name) + _ruff(formatted, "format")


def derived_files(package: Path = PACKAGE) -> dict[Path, str]:
    """Return the text that each derived file should have, by its path."""
    sources = {package / source: package / target for source, target in DERIVED.items()}
    return {target: derive(source.read_text(encoding="utf-8"), source.name) for source, target in sources.items()}


def _ruff(text: str, *arguments: str) -> str:
    # Under a name in the package, so that the project's settings apply.
    command = [sys.executable, "-m", "ruff", *arguments, "--quiet", f"--stdin-filename={PACKAGE / 'client.py'}", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    for path, text in derived_files().items():
        path.write_text(text, encoding="utf-8")
        print(f"Wrote {path.name}.")
