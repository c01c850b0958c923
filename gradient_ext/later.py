"""Modules that are loaded when something of them is used for the first time.

What the methods of a client need takes several times as long to load as what a program needs that only makes one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING


class _Later:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)  # The next time it is there.
        return found


if TYPE_CHECKING:
    from gradient_ext import methods as methods
else:
    methods = _Later("gradient_ext.methods")
