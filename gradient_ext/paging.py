"""Going through the pages of a list, whether the server sends them flat or grouped by project. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from attrs import define, field
from gradient_api import operations
from gradient_api.json_names import ExperimentGroupNames, ExperimentListNames, ExperimentNames, ListMetaNames
from gradient_api.models import ListExperimentsProjectHandle
from gradient_api.types import UNSET

from gradient_ext._json import as_array, as_object, coerce, is_object, require
from gradient_ext.calls import Call, call_of
from gradient_ext.config import PAGE_SIZE
from gradient_ext.experiments import BaseExperiment, check_complete, experiment_from

JsonObject = dict[str, object]

_REMEMBERED_PAGES = 2
_HANDLE: Final = ExperimentNames.handle


@define
class ListCursor:
    """Where a reader of a list is.

    How limit and offset apply to grouped lists was never written down: to all matching experiments, or to each group.
    The cursor copes with both, with servers that know neither, and with those that give less than they are asked for:
    it goes on behind what has come, and stops at the total, or at a page that brings nothing new.

    An experiment that comes again is passed over. While a list is read, new experiments move those that were read into
    the next pages: where the total has grown by as many as have come again, a page of nothing else is no end. A reader
    that is to stay small remembers the last pages only.

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
    _repeated: int = field(default=0, init=False)
    _first_total: int | None = field(default=None, init=False)
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

    def take(self, page: Mapping[str, object]) -> list[JsonObject]:
        """Take one page: return what is new in it, and move on.

        :param page: the answer, as it is in JSON

        :raises TypeError: there is something in it that is neither an experiment nor a group
        :raises ValueError: an experiment does not say which it is, or is passed over and not whole
        """
        found = list(_experiments(page))
        handles = [_handle(experiment) for experiment in found]
        known = set[str]().union(*(seen.intersection(handles) for seen in self._seen))
        unknown: dict[str, JsonObject] = {}
        for handle, experiment in zip(handles, found, strict=True):
            if handle not in known:
                unknown.setdefault(handle, experiment)
        wanted = len(unknown) if self.limit is None else self.limit - self._count
        new = list(islice(unknown.values(), min(wanted, len(unknown))))
        if len(new) < len(found):  # Those that are passed over have to be whole too.
            for experiment in found:
                check_complete(experiment)
        said = page.get(ExperimentListNames.meta)
        meta = said if is_object(said) else {}
        self.offset += self._step(page, len(found), coerce("integer", meta.get(ListMetaNames.limit)))
        self._remember(set(handles))
        self._count += len(new)
        self._repeated += len(found) - len(unknown)
        total = coerce("integer", meta.get(ListMetaNames.total_items))
        # A server that knows no offset repeats more than were created meanwhile.
        is_stale = self._repeated > self._growth(total) and not new
        is_end = not found or is_stale or (total is not None and self.offset >= total)
        self.finished = is_end or self._count == self.limit
        return new

    def _growth(self, total: int | None) -> int:
        """Say how many more experiments there are than at first."""
        if self._first_total is None:
            self._first_total = total
        return 0 if total is None or self._first_total is None else total - self._first_total

    def _step(self, page: Mapping[str, object], count: int, limit_in_force: int | None) -> int:
        """Say how far to go on: behind what has come. Of groups it is unknown what the offset counts."""
        if not _is_grouped(page):
            return count
        asked = self.page_size
        return min(asked, limit_in_force) if limit_in_force is not None and limit_in_force > 0 else asked

    def _remember(self, handles: set[str]) -> None:
        if self.forgets:
            self._seen = [*self._seen[1 - _REMEMBERED_PAGES :], handles]
        elif self._seen:
            self._seen[0] |= handles
        else:
            self._seen = [handles]


def _is_grouped(page: Mapping[str, object]) -> bool:
    return any(_HANDLE not in as_object(one) for one in as_array(page[ExperimentListNames.data]))


def _experiments(page: Mapping[str, object]) -> Iterator[JsonObject]:
    for found in as_array(page[ExperimentListNames.data]):
        one = as_object(found)
        if _HANDLE in one:
            yield one
        else:
            # The contract says that what has no handle is a group.
            yield from map(as_object, as_array(one[ExperimentGroupNames.data]))


def _handle(experiment: JsonObject) -> str:
    handle = experiment.get(_HANDLE)
    if type(handle) is str and handle:
        return handle
    brought: str = require("string", handle, _HANDLE, min_length=1)
    return brought
