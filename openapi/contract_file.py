"""Read a contract, and say on the terminal what changed in it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from changes import Change, compare, summary, texts_changed
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

CONTRACT = Path(__file__).resolve().parent / "experiments.yaml"


def read(source: Path | str) -> dict[str, Any]:
    """Read a contract from a file or a text, in the form that it has as JSON: all keys are texts."""
    try:
        contract: dict[str, Any] = json.loads(json.dumps(YAML(typ="safe").load(source)))
    except YAMLError as error:
        sys.exit(f"The contract is not YAML: {error}")
    return contract


def report(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Print what changed between two contracts, and return it."""
    changes = compare(old, new)
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(summary(changes, texts_changed(old, new), coloured=coloured))
    return changes
