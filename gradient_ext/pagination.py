"""The position of a reader in a list, whether the server sends it flat or grouped by project. No I/O."""

from __future__ import annotations

from itertools import islice

from attrs import define, field
from gradient_api.models import ExperimentList as ExperimentPage
from gradient_api.models import ListExperimentsProjectHandle, ListMeta
from gradient_api.types import UNSET, Unset

from gradient_ext._json import as_array, as_object, coerce
from gradient_ext.config import PAGE_SIZE
from gradient_ext.experiments import HANDLE, check_complete, handle_of

JsonObject = dict[str, object]
_REMEMBERED_PAGES = 2


@define
class ListCursor:
    """The position of a reader in a list.

    How limit and offset apply to grouped lists was never written down: to all matching experiments, or to each group.
    The cursor copes with both, with servers that know neither, and with servers that return less than was asked for: it
    continues behind what has come, and stops at the total, or at a page that brings nothing new.

    Experiments that come again are skipped. While a list is read, new experiments move those that were read into the
    next pages: if the total has grown by as many as have come again, a page of known ones is no end. With `bounded`,
    only the last pages are remembered, so that memory stays flat.

    :param int offset: how many experiments to skip first
    :param int limit: the most experiments to return; None for all
    :param projects: only experiments of these projects; None: of all
    :param int max_page_size: how many experiments to ask for at once
    :param bool bounded: whether experiments may come again that were on a page long ago
    """

    offset: int = 0
    limit: int | None = None
    projects: tuple[str, ...] | None = field(default=None, kw_only=True)
    max_page_size: int = field(factory=lambda: PAGE_SIZE, kw_only=True)
    bounded: bool = field(default=False, kw_only=True)
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
        return self.max_page_size if self.limit is None else min(self.max_page_size, self.limit - self._count)

    @property
    def project_filter(self) -> ListExperimentsProjectHandle | Unset:
        """The filter to send."""
        if not self.projects:
            return UNSET
        return ListExperimentsProjectHandle.from_dict({str(index): each for index, each in enumerate(self.projects)})

    def take(self, page: ExperimentPage) -> list[JsonObject]:
        """Return the experiments of a page that are new, as JSON, and advance.

        :raises TypeError: a member is neither an experiment nor a group
        :raises ValueError: an experiment lacks its handle, or one that is skipped is incomplete
        """
        found, is_grouped = _experiments(page)
        handles = [handle_of(experiment) for experiment in found]
        known = set[str]().union(*(seen.intersection(handles) for seen in self._seen))
        unknown: dict[str, JsonObject] = {}
        for handle, experiment in zip(handles, found, strict=True):
            if handle not in known:
                unknown.setdefault(handle, experiment)
        wanted = len(unknown) if self.limit is None else self.limit - self._count
        new = list(islice(unknown.values(), min(wanted, len(unknown))))
        if len(new) < len(found):  # Those that are skipped have to be complete, too.
            for experiment in found:
                check_complete(experiment)
        meta = page.meta if isinstance(page.meta, ListMeta) else ListMeta()
        self.offset += self._step(coerce("integer", meta.limit)) if is_grouped else len(found)
        self._remember(set(handles))
        self._count += len(new)
        self._repeated += len(found) - len(unknown)
        total = coerce("integer", meta.total_items)
        # A server that ignores the offset repeats more than were created meanwhile.
        is_stale = self._repeated > self._growth(total) and not new
        is_end = not found or is_stale or (total is not None and self.offset >= total)
        self.finished = is_end or self._count == self.limit
        return new

    def _growth(self, total: int | None) -> int:
        """Return by how much the total has grown since the first page."""
        if self._first_total is None:
            self._first_total = total
        return 0 if total is None or self._first_total is None else total - self._first_total

    def _step(self, limit_in_force: int | None) -> int:
        """Return how far to advance in a grouped list, where it is unknown what the offset counts."""
        asked = self.page_size
        return min(asked, limit_in_force) if limit_in_force is not None and limit_in_force > 0 else asked

    def _remember(self, handles: set[str]) -> None:
        if self.bounded:
            self._seen = [*self._seen[1 - _REMEMBERED_PAGES :], handles]
        elif self._seen:
            self._seen[0] |= handles
        else:
            self._seen = [handles]


def _experiments(page: ExperimentPage) -> tuple[list[JsonObject], bool]:
    """Return the experiments of a page, and whether they are grouped by project."""
    members = [as_object(member) for member in as_array(page.data)]
    if all(HANDLE in member for member in members):
        return members, False
    found: list[JsonObject] = []
    for member in members:
        # A member without a handle is a group, which is a page in a page.
        grouped = [member] if HANDLE in member else as_array(ExperimentPage.from_dict(member).data)
        found += map(as_object, grouped)
    return found, True
