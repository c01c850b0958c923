"""The files that a server keeps on its disk, and the space that the removal of experiments has freed.

Which attributes there are comes from `gradient_api.experiment_fields`, which is generated from the contract.
"""

# The generated half of the classes belongs to this package, too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field
from gradient_api.experiment_fields import RemovalFields, StorageEntryFields
from gradient_api.models import RemovalAnswer, StoragePage

from gradient_ext import LazyModule, public
from gradient_ext._json import as_array, coerce
from gradient_ext.display.fields import ShownFields, read_fields
from gradient_ext.display.tables import Cell, Column, DisplayedList, Table, local_minute, parsed_timestamp, size_text
from gradient_ext.redaction import escape_control_characters, redact
from gradient_ext.retention import EndedRun, Limit, beyond_limits
from gradient_ext.states import state_style, state_word

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display import dataframes
else:
    pandas, dataframes = map(LazyModule, ("pandas", "gradient_ext.display.dataframes"))


@public
@define(repr=False, kw_only=True)
class StorageEntry(StorageEntryFields, ShownFields):
    """Files that a server keeps, and the space that they take on its disk, as `ExperimentsClient.storage()` returns it.

    >>> StorageEntry(id="es1", kind="experiment", size=1204224, shared=0, name="mnist", state=5).size
    1204224

    :param str id: id of the experiment; of other files, the name of their folder
    :param str kind: "experiment", "removing", "leftover", "kept" or "uploads"
    :param int size: bytes on the disk that their removal frees
    :param int shared: bytes that are shared with other files by hard links, in equal parts
    :param str name: name of the experiment
    :param int state: number of its state
    :param str dt_created: when it was created, in ISO 8601
    :param str dt_ended: when it has ended, in ISO 8601
    :param str reason: why files of no experiment are still there
    """


@public
class StorageList(DisplayedList[StorageEntry]):
    """The files that a server keeps on its disk, as `ExperimentsClient.storage()` returns them, the largest first.

    It is a list in every way. Notebooks show it as a table; `show()` prints one.

    >>> one = StorageEntry(id="es1", kind="experiment", size=1204224, shared=0, name="mnist", state=5)
    >>> print(StorageList([one]).pretty())
    id     name   state      size
    es1    mnist  stopped  1.2 MB
    total                  1.2 MB
    """

    __slots__ = ()

    @property
    def total(self) -> int:
        """The bytes that all of it takes on the disk; what is shared is counted once."""
        return sum(entry.size + entry.shared for entry in self)

    def to_dict(self) -> list[dict[str, object]]:
        """Return the dictionary of each entry, in a list that can be written as JSON.

        >>> StorageList([StorageEntry(id="es1", kind="experiment", size=4096, shared=0)]).to_dict()[0]["size"]
        4096

        :returns: the `to_dict()` of each entry
        :rtype: list of dict
        """
        return [entry.to_dict() for entry in self]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a DataFrame with one row for each entry. pandas has to be installed.

        >>> frame = StorageList([StorageEntry(id="es1", kind="experiment", size=4096, shared=0)]).to_dataframe()
        >>> int(frame["size"].sum())
        4096

        :returns: the DataFrame, with a column for each attribute
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        return dataframes.experiment_dataframe(self.to_dict(), StorageEntry._fields)

    def _table(self, max_rows: int | None = None) -> Table:
        return _list_table(self, max_rows)


@public
@define(repr=False, kw_only=True)
class Removal(RemovalFields, ShownFields):
    """How far the removal of a deleted experiment has come, as `ExperimentsClient.wait_for_removal()` returns it.

    >>> Removal(id="es1", is_done=True, freed=1204224).freed
    1204224

    :param str id: id of the experiment
    :param bool is_done: whether it is over
    :param int freed: bytes on the disk that it has freed
    :param str reason: what could not be removed, and why
    """


@define
class StorageCursor:
    """The position of a reader of what a server keeps. It stops at a page that brings nothing new."""

    finished: bool = field(default=False, init=False)
    _next: str | None = field(default=None, init=False)
    _seen: set[str] = field(factory=set[str], init=False)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the request for the next page."""
        return {} if self._next is None else {"after": self._next}

    def take(self, page: StoragePage) -> list[StorageEntry]:
        """Move to behind a page, and return its entries but for those that have come before.

        :raises ValueError: an entry lacks something
        """
        found = {entry.id: entry for entry in (read_fields(StorageEntry, each) for each in as_array(page.data))}
        new = [entry for name, entry in found.items() if name not in self._seen]
        self._seen |= found.keys()
        self._next = coerce("string", page.meta.next_)
        self.finished = self._next is None or not new
        return new


def entries_beyond(entries: StorageList, limits: Sequence[Limit], now: float) -> StorageList:
    """Return the experiments that limits do not allow to keep, the one that ended first first; without limits, all."""
    found = {entry.id: entry for entry in entries}
    runs = [
        EndedRun(entry.id, ended.timestamp(), entry.size + entry.shared)
        for entry in entries
        if (ended := parsed_timestamp(entry.dt_ended))
    ]
    return StorageList(found[run.id] for run in beyond_limits(runs, limits, now))


def removal_from(answer: RemovalAnswer) -> Removal:
    """Return the removal in an answer.

    :raises ValueError: it lacks something
    """
    return read_fields(Removal, answer.data)


def _list_table(entries: StorageList, max_rows: int | None) -> Table:
    """Return a row for each entry, and the sum; columns in which nothing would be are left out."""
    if not entries:
        return Table(caption="nothing is kept", columns=(), rows=())
    shown = entries[:max_rows]
    rows = [_row_of(entry) for entry in shown]
    rows.append((Cell("total"), *(Cell("") for _ in range(4)), Cell(size_text(entries.total)), Cell("")))
    columns = [
        Column("id"),
        Column("name"),
        Column("state", is_short=True),
        Column("created", is_short=True),
        Column("shared", is_number=True, is_short=True),
        Column("size", is_number=True, is_short=True),
        Column("reason", wraps=True),
    ]
    used = [number for number in range(len(columns)) if any(row[number].text for row in rows)]
    return Table(
        caption=f"{size_text(entries.total)} on the disk of the server",
        columns=tuple(columns[number] for number in used),
        rows=tuple(tuple(row[number] for number in used) for row in rows),
        left_out=len(entries) - len(shown),
        left_out_after=len(shown),
    )


def _row_of(entry: StorageEntry) -> tuple[Cell, ...]:
    state = Cell(entry.kind) if entry.state is None else Cell(state_word(entry.state), state_style(entry.state))
    return (
        _cell(entry.id),
        _cell(entry.name),
        state,
        Cell(local_minute(entry.dt_created)),
        Cell(size_text(entry.shared) if entry.shared else ""),
        Cell(size_text(entry.size)),
        _cell(entry.reason),
    )


def _cell(text: str | None) -> Cell:
    return Cell(escape_control_characters(redact(text or "")))
