"""What cannot be run as processes of one machine, said before anything is kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.process.nodes import MOST_NODES


def check(body: Mapping[str, Any]) -> None:
    """See that an experiment can be tried.

    :raises RunRejectedError: it cannot
    """
    counts = {name: count for name, count in body.items() if name.endswith("Count")}
    total = sum(counts.values())
    if total > MOST_NODES:
        text = f"All nodes run on the machine of the server: there can be {MOST_NODES} of them, not {total}."
        raise RunRejectedError(text, max(counts, key=counts.__getitem__))
    given: Mapping[str, Any] = body.get("experimentEnv") or {}
    for name, value in given.items():
        if not name or "=" in name or "\0" in f"{name}{value}":
            raise RunRejectedError(
                f"{name!r} must be the name of an environment variable, without = and NUL.", "experimentEnv"
            )
    # Neither arguments nor variables nor names of files can have one.
    for name, value in body.items():
        if isinstance(value, str) and "\0" in value:
            raise RunRejectedError("It must be text without NUL.", name)
