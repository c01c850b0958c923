"""One change of the contract: what it is, where, and why old callers break."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["added", "removed", "renamed", "changed"]
_ORDER: tuple[Kind, ...] = ("added", "removed", "renamed", "changed")


@dataclass(frozen=True)
class At:
    """A place in the contract: an operation or a schema, what in it, what that is, and who writes it."""

    owner: str
    name: str
    noun: str
    request: bool

    @property
    def where(self) -> str:
        """Name the place for a person."""
        return f"{self.name} of {self.owner}" if self.name else self.owner

    @property
    def member(self) -> str:
        """The last name on the way to the place."""
        return self.name.rpartition(".")[2]

    def inside(self, suffix: str) -> At:
        """Go into a value: to the items of an array, or to the members of an object."""
        return replace(self, name=f"{self.name}{suffix}" if self.name else suffix.lstrip("."))


@dataclass(frozen=True)
class Change:
    """One change: in as many places as share it, with the reason why old callers break, if they do."""

    kind: Kind
    subject: str
    name: str
    places: tuple[str, ...]
    sentence: str
    breaks: str = ""

    @property
    def where(self) -> str:
        """Name the places for a person."""
        places = ", ".join(self.places)
        return f"{self.name} of {places}" if self.name else places


class Findings:
    """Collect changes; the same one, found on several ways or in several places, becomes one."""

    def __init__(self) -> None:
        self._places: defaultdict[Change, set[str]] = defaultdict(set)

    def add(self, kind: Kind, at: At, sentence: str, breaks: str = "") -> None:
        """Keep one change."""
        self._places[Change(kind, at.noun, at.name, (), sentence, breaks)].add(at.owner)

    def changes(self) -> list[Change]:
        """Give all changes, in an order that depends on nothing but the changes."""
        found = [replace(change, places=tuple(sorted(places))) for change, places in self._places.items()]
        # Met on a way where it breaks and on one where it does not: it breaks.
        breaking = {_identity(change) for change in found if change.breaks}
        kept = [change for change in found if change.breaks or _identity(change) not in breaking]
        return sorted(kept, key=lambda change: (_ORDER.index(change.kind), change.places, change.name, change.sentence))


def _identity(change: Change) -> tuple[object, ...]:
    return change.kind, change.subject, change.name, change.places


def listed(values: object) -> str:
    """Write some values, or one, as a person would: `a, b or c`."""
    texts = [str(value) for value in values] if isinstance(values, (list, tuple)) else [str(values)]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
