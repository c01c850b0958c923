"""Where paths lead."""

from __future__ import annotations

import os
from pathlib import Path


def real(path: Path) -> Path:
    """Follow all links of a path. `Path.resolve` raises for those that go round, before Python 3.13."""
    return Path(os.path.realpath(path))
