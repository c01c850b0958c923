"""The figures of a run as JSON, with the names of the rows as keys."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Line

_VERSIONS = ("httpx", "httpcore", "attrs", "stamina", "uvicorn")


def write(rows: Mapping[str, Sequence[Line]], file: Path, note: str | None) -> None:
    """Write the figures of some rows to a file; those of other rows stay in it.

    :param rows: what was measured
    :param Path file: the file
    :param str note: why there are no figures of the old client; None: there are
    """
    earlier = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    about = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        **{name: version(name) for name in _VERSIONS},
        "old client": note or "gradient 1.9.1",
    }
    told = {name: {line.name: line.as_json() for line in lines} for name, lines in rows.items()}
    text = json.dumps({**earlier, "about": about, **told}, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
