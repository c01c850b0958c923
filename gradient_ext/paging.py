"""Going through the pages of a list, whether the server sends them flat or grouped by project. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field
from gradient_api import operations
from gradient_api.models import Experiment, ExperimentList, ListExperimentsProjectHandle, ListMeta
from gradient_api.types import UNSET

from gradient_ext.calls import Call, call_of
from gradient_ext.defaults import PAGE_SIZE
from gradient_ext.experiments import BaseExperiment, experiment_from
from gradient_ext.network_errors import MalformedResponseError
from gradient_ext.values import told, typed

_REMEMBERED_PAGES = 2


@define
class ListCursor:
    """Where a reader of a list is.

    How limit and offset apply to grouped lists was never written down: to all matching experiments, or to each group.
    The cursor copes with both, and with servers that know neither: it stops when a page brings nothing new.

    An experiment that comes again is passed over. While a list is read, new experiments move those that were read into
    the next page; a reader that is to stay small remembers the last pages only.

    :param int offset: how many experiments to pass over first
    :param int limit: the most experiments to return; None for all
    :param projects: only experiments of these projects; None: of all
    :param int most: how many experiments to ask for at once
    :param bool forgets: whether experiments may come again that were on a page long ago
    """

    offset: int = 0
    limit: int | None = None
    projects: tuple[str, ...] | None = field(default=None, kw_only=True)
    most: int = field(factory=lambda: PAGE_SIZE, kw_only=True)
    forgets: bool = field(default=False, kw_only=True)
    finished: bool = field(init=False)
    _count: int = field(default=0, init=False)
    _seen: list[set[str]] = field(factory=list[set[str]], init=False)

    def __attrs_post_init__(self) -> None:
        self.finished = self.projects == ()

    @property
    def page_size(self) -> int:
        """How many experiments to ask for next."""
        return self.most if self.limit is None else min(self.most, self.limit - self._count)

    def call(self) -> Call[list[BaseExperiment]]:
        """Prepare the call for the next page. Its answer is what is new in it."""
        named = {str(number): project for number, project in enumerate(self.projects or ())}
        return call_of(
            operations.LIST_EXPERIMENTS,
            "Failed to fetch data",
            meaning=lambda page: [experiment_from(new) for new in self.take(page)],
            limit=self.page_size,
            offset=self.offset,
            project_handle=ListExperimentsProjectHandle.from_dict(named) if named else UNSET,
        )

    def take(self, page: ExperimentList) -> list[Experiment]:
        """Take one page: return what is new in it, and move on.

        :raises MalformedResponseError: there is something in it that is no experiment
        """
        asked = self.page_size
        handles: set[str] = set()
        new: list[Experiment] = []
        for found in _experiments(page):
            handle = told("string", found.handle, "handle", min_length=1)
            is_known = handle in handles or any(handle in seen for seen in self._seen)
            if not is_known and (self.limit is None or self._count + len(new) < self.limit):
                new.append(found)
            handles.add(handle)
        self._remember(handles)
        self._count += len(new)
        self.offset += asked
        total = typed("integer", page.meta.total_items) if isinstance(page.meta, ListMeta) else None
        self.finished = not new or self._count == self.limit or (total is not None and self.offset >= total)
        return new

    def _remember(self, handles: set[str]) -> None:
        if self.forgets:
            self._seen = [*self._seen[1 - _REMEMBERED_PAGES :], handles]
        elif self._seen:
            self._seen[0] |= handles
        else:
            self._seen = [handles]


def _experiments(page: ExperimentList) -> Iterator[Experiment]:
    for found in page.data:
        if isinstance(found, Experiment):
            yield found
        elif "handle" in found:
            # The decoder takes an experiment that lacks something for a group if it has `data`.
            raise MalformedResponseError("an experiment lacks its type or state")
        else:
            yield from found.data
