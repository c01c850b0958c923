"""What in a contract is for people only: it can change without changing the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXTS = frozenset({"$comment", "description", "example", "examples", "externalDocs", "links", "summary", "title"})
_MAPS_OF_NAMES = frozenset(
    {
        *("content", "headers", "parameters", "paths", "properties", "requestBodies", "responses", "schemas"),
        *("securitySchemes", "dependentRequired", "patternProperties", "$defs"),
    }
)


def without_texts(node: Any, *, names: bool = False) -> Any:
    """Leave out what is for people only; `names`: the keys are names, so that `title` may be that of a field."""
    if isinstance(node, Mapping):
        return {
            key: without_texts(value, names=not names and key in _MAPS_OF_NAMES)
            for key, value in node.items()
            if names or key not in TEXTS
        }
    return [without_texts(item) for item in node] if isinstance(node, list) else node


def texts_changed(old: Any, new: Any, *, names: bool = False) -> int:
    """Count the descriptions, examples and links that both contracts have, and that say something else now."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return sum(
            old[key] != new[key]
            if key in TEXTS and not names
            else texts_changed(old[key], new[key], names=not names and key in _MAPS_OF_NAMES)
            for key in old.keys() & new.keys()
        )
    if isinstance(old, list) and isinstance(new, list):
        return sum(texts_changed(*pair) for pair in zip(old, new, strict=False))
    return 0
