"""Pictures of the figures: the ratios to raw httpx and to the old client, and cost against size."""

from __future__ import annotations

from pathlib import Path


def draw(file: Path, directory: Path) -> None:
    """Draw."""
