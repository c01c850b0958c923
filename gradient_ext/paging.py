"""Going through the pages of a list, whether the server sends them flat or grouped by project. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field
from gradient_api.models import Experiment, ExperimentList, ListMeta

from gradient_ext.errors import MalformedResponseError
from gradient_ext.values import told, typed

PAGE_SIZE = 1000


@define
class ListCursor:
    """Where a reader of a list is.

    How limit and offset apply to grouped lists was never written down: to all matching experiments, or to each group.
    The cursor copes with both, and with servers that know neither: it stops when a page brings nothing new.

    :param int offset: how many experiments to pass over first
    :param int limit: the most experiments to return; None for all
    """

    offset: int = 0
    limit: int | None = None
    finished: bool = field(default=False, init=False)
    _seen: set[str] = field(factory=set, init=False)

    @property
    def page_size(self) -> int:
        """How many experiments to ask for next."""
        return PAGE_SIZE if self.limit is None else min(PAGE_SIZE, self.limit - len(self._seen))

    def take(self, page: ExperimentList) -> list[Experiment]:
        """Take one page: return what is new in it, and move on.

        :raises MalformedResponseError: there is something in it that is no experiment
        """
        asked = self.page_size
        new: dict[str, Experiment] = {}
        for found in _experiments(page):
            handle = told("string", found.handle, "handle", min_length=1)
            if handle not in self._seen and (self.limit is None or len(self._seen) + len(new) < self.limit):
                new.setdefault(handle, found)
        self._seen.update(new)
        self.offset += asked
        total = typed("integer", page.meta.total_items) if isinstance(page.meta, ListMeta) else None
        self.finished = not new or len(self._seen) == self.limit or (total is not None and self.offset >= total)
        return list(new.values())


def _experiments(page: ExperimentList) -> Iterator[Experiment]:
    for found in page.data:
        if isinstance(found, Experiment):
            yield found
        elif "handle" in found:
            # The decoder takes an experiment that lacks something for a group if it has `data`.
            raise MalformedResponseError("an experiment lacks its type or state")
        else:
            yield from found.data
