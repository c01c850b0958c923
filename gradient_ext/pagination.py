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
_MAX_VAIN_PAGES = 20
"""How many pages without anything new to request before a server is not believed that there is more."""


@define
class ListCursor:
    """The position of a reader in a list.

    How limit and offset apply to grouped lists was never written down: to all matching experiments, or to each group.
    The cursor copes with both, with servers that know neither, and with servers that return less than was asked for: it
    continues behind what has come, and stops at the total, or at a page that brings nothing new.

    Experiments that come again are skipped. While a list is read, new experiments move those that were read into the
    next pages: if the total has grown by as many as have come again, a page of known ones is no end. Deleted ones move
    those that were not read into pages that were: if the total has shrunk and a page does not begin with a known
    experiment, the cursor leaves that page and steps back. A total that is less than what has come is ignored. With
    `bounded`, only the last pages are remembered, so that memory stays flat.

    :param int offset: how many experiments to skip first
    :param int limit: the most experiments to return; None for all
    :param projects: only experiments of these projects; None: of all
    :param tags: only experiments with one of these tags; None: all
    :param int max_page_size: how many experiments to ask for at once
    :param bool bounded: whether experiments may come again that were on a page long ago
    """

    offset: int = 0
    limit: int | None = None
    projects: tuple[str, ...] | None = field(default=None, kw_only=True)
    tags: tuple[str, ...] | None = field(default=None, kw_only=True)
    max_page_size: int = field(factory=lambda: PAGE_SIZE, kw_only=True)
    bounded: bool = field(default=False, kw_only=True)
    finished: bool = field(init=False)
    _start: int = field(init=False)
    _count: int = field(default=0, init=False)
    _repeated: int = field(default=0, init=False)
    _expected_repeats: int = field(default=0, init=False)
    _last_total: int | None = field(default=None, init=False)
    _overlap: int = field(default=0, init=False)
    """By how much the next page is larger, since the cursor has stepped back."""
    _vain_pages: int = field(default=0, init=False)
    """How many pages have come since one with something new."""
    _last_page: list[str] = field(factory=list[str], init=False)
    _seen: list[set[str]] = field(factory=list[set[str]], init=False)

    def __attrs_post_init__(self) -> None:
        self.finished = () in (self.projects, self.tags)
        self._start = self.offset

    @property
    def page_size(self) -> int:
        """How many experiments to ask for next."""
        wanted = self.max_page_size if self.limit is None else min(self.max_page_size, self.limit - self._count)
        return wanted + self._overlap

    @property
    def project_filter(self) -> ListExperimentsProjectHandle | Unset:
        """The filter to send."""
        if not self.projects:
            return UNSET
        return ListExperimentsProjectHandle.from_dict({str(index): each for index, each in enumerate(self.projects)})

    @property
    def tag_filter(self) -> list[str] | Unset:
        """The tags to send."""
        return [*self.tags] if self.tags else UNSET

    def take(self, page: ExperimentPage) -> list[JsonObject]:
        """Return the experiments of a page that are new, as JSON, and advance.

        :raises TypeError: a member is neither an experiment nor a group
        :raises ValueError: an experiment lacks its handle, or one that is skipped is incomplete
        """
        groups, is_grouped = _experiments(page)
        found = [experiment for group in groups for experiment in group]
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
        total: int | None = coerce("integer", meta.total_items)
        if total is not None and total < (self.offset + len(found) if found else 0):
            total = None
        growth = 0 if total is None or self._last_total is None else total - self._last_total
        self._last_total = self._last_total if total is None else total
        is_continued = bool(groups) and all(handle_of(group[0]) in known for group in groups)
        if growth < 0 and not is_continued and self._step_back(-growth):
            return []
        self.offset += self._step(coerce("integer", meta.limit)) if is_grouped else len(found)
        self._count += len(new)
        self._overlap = 0
        # Each experiment that was created moves another one into a page that follows, sooner or later.
        self._expected_repeats += max(0, growth)
        self._repeated += len(handles) - len(unknown)
        is_stale = not new and self._is_stale(handles)
        if new:
            self._remember(set(handles))
            self._expected_repeats = max(0, self._expected_repeats - self._repeated)
            self._repeated = self._vain_pages = 0
        self._last_page = handles
        is_end = not found or is_stale or (total is not None and self.offset >= total)
        self.finished = is_end or self._count == self.limit
        return new

    def _is_stale(self, handles: list[str]) -> bool:
        """Whether a page of known experiments is one of a server that ignores the offset.

        It repeats a page, though fewer experiments were created meanwhile.
        """
        self._vain_pages += 1
        is_same = handles == self._last_page or self._vain_pages > _MAX_VAIN_PAGES
        return is_same and self._repeated > self._expected_repeats

    def _step_back(self, deleted: int) -> bool:
        """Move the offset to before what may have been skipped, since so many were deleted; return False if it cannot.

        As many again may be deleted before the next page, which has to begin with a known experiment.
        """
        back = min(2 * deleted + 1, self.offset - self._start)
        if back <= 0 or self._vain_pages > _MAX_VAIN_PAGES:
            return False
        self._vain_pages += 1
        self.offset -= back
        self._overlap += back
        self._expected_repeats += back
        return True

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


def _experiments(page: ExperimentPage) -> tuple[list[list[JsonObject]], bool]:
    """Return the experiments of a page in groups that are not empty, and whether they are grouped by project."""
    members = [as_object(member) for member in as_array(page.data)]
    if all(HANDLE in member for member in members):
        return [members] if members else [], False
    groups: list[list[JsonObject]] = []
    for member in members:
        # A member without a handle is a group, which is a page in a page.
        grouped = [member] if HANDLE in member else as_array(ExperimentPage.from_dict(member).data)
        groups.append([as_object(experiment) for experiment in grouped])
    return [group for group in groups if group], True
