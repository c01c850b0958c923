"""Artifacts, the files that an experiment writes: read from responses, chosen by name, planned to download. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from attrs import asdict, define, field, fields, frozen
from gradient_api.models import ArtifactPage
from gradient_api.types import UNSET, Unset

from gradient_ext import LazyModule, public
from gradient_ext._json import as_array, as_object, require
from gradient_ext.display.tables import Cell, Column, DisplayedList, Table, local_minute, size_text
from gradient_ext.redaction import escape_control_characters

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display import dataframes
else:
    pandas, dataframes = map(LazyModule, ("pandas", "gradient_ext.display.dataframes"))

WORK_FOLDER = ".gradient-download"
"""The folder for what is not complete, in the one that artifacts are downloaded to."""
BATCH_BYTES = 4 * 1024 * 1024
"""Small artifacts are requested together, up to about so many bytes."""
_TOO_LARGE = 2**63
_BATCH_CHARACTERS = 6000
"""Characters of the names and versions that are requested together: a URL has room for 8000 everywhere."""


@public
@frozen
class Artifact:
    """A file that an experiment has written to its artifact directory or its model path.

    >>> Artifact("model/weights.pt", 7, "2019-08-06T17:25:11.462913+00:00").name
    'model/weights.pt'

    :param str name: where it is, relative and with `/`; `artifacts/...` in the artifact directory, `model/...` in the
        model path
    :param int size: the number of its bytes
    :param str modified: when it was last written, UTC, in ISO 8601
    :param str version: another one whenever the file has changed. Not part of the repr.
    """

    name: str
    size: int
    modified: str
    version: str = field(default="", repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return its attributes as a dictionary that can be written as JSON.

        >>> Artifact("model/weights.pt", 7, "2019-08-06T17:25:11.462913+00:00", "1c").to_dict()["size"]
        7
        """
        return asdict(self)


@public
class ArtifactList(DisplayedList[Artifact]):
    """A list of artifacts, as `ExperimentsClient.artifacts()` returns it.

    It is a list in every way. Notebooks show it as a table; `show()` prints one.

    >>> ArtifactList([]).show()
    no artifacts
    """

    __slots__ = ()

    def to_dict(self) -> list[dict[str, object]]:
        """Return the dictionary of each artifact, in a list that can be written as JSON.

        >>> ArtifactList([]).to_dict()
        []

        :returns: the `to_dict()` of each artifact
        :rtype: list of dict
        """
        return [artifact.to_dict() for artifact in self]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a DataFrame with one row for each artifact. pandas has to be installed.

        The columns are `name` (string), `size` (int64), `modified` (datetime64[ns, UTC]) and `version` (string).

        >>> list(ArtifactList([]).to_dataframe().columns)
        ['name', 'size', 'modified', 'version']

        :returns: the DataFrame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        return dataframes.artifact_dataframe(self.to_dict(), [each.name for each in fields(Artifact)])

    def _table(self, max_rows: int | None = None) -> Table:
        shown = self[:max_rows]
        rows = (
            (escape_control_characters(each.name), size_text(each.size), local_minute(each.modified)) for each in shown
        )
        return Table(
            caption=f"{len(self) or 'no'} artifact{'' if len(self) == 1 else 's'}",
            columns=(Column("name"), Column("size", is_number=True), Column("modified")),
            rows=tuple(tuple(map(Cell, row)) for row in rows),
            left_out=len(self) - len(shown),
            left_out_after=len(shown),
        )


@define
class ArtifactCursor:
    """The position of a reader in the list of artifacts."""

    limit: int = 5000
    finished: bool = field(default=False, init=False)
    after: str | Unset = field(default=UNSET, init=False)

    def take(self, page: ArtifactPage) -> list[Artifact]:
        """Move to behind a page, and return its artifacts.

        :raises TypeError: one is no object
        :raises ValueError: one lacks something, or the page does not go on
        """
        found = [_artifact_from(as_object(each)) for each in as_array(page.data)]
        if found and found[-1].name == self.after:
            raise ValueError("the page after an artifact ends with the same one")
        self.finished = len(found) < self.limit
        self.after = found[-1].name if found else self.after
        return found


@frozen
class Batch:
    """Artifacts whose content is requested together: one that is large, or many small ones."""

    artifacts: tuple[Artifact, ...]

    @property
    def names(self) -> list[str]:
        """The names, for a request."""
        return [each.name for each in self.artifacts]

    @property
    def versions(self) -> list[str]:
        """The versions, for a request."""
        return [each.version for each in self.artifacts]

    @property
    def size(self) -> int:
        """The number of bytes of all of them."""
        return sum(each.size for each in self.artifacts)

    def checked_content(self, content: bytes, offset: int) -> bytes:
        """Return a part of the content from an offset.

        :raises ValueError: it is empty, or longer than what there is
        """
        if not 0 < len(content) <= self.size - offset:
            raise ValueError(f"{len(content)} bytes came, where there are {self.size - offset}")
        return content

    def split(self, offset: int, content: bytes) -> Iterator[tuple[Artifact, int, memoryview]]:
        """Yield the artifacts that a part of the content belongs to, each with an offset in it and the bytes.

        >>> a, b = Artifact("a", 2, ""), Artifact("b", 3, "")
        >>> [(each.name, start, bytes(part)) for each, start, part in Batch((a, b)).split(1, b"xyz")]
        [('a', 1, b'x'), ('b', 0, b'yz')]
        """
        rest = memoryview(content)
        for artifact in self.artifacts:
            if offset < artifact.size:
                part, rest = rest[: artifact.size - offset], rest[artifact.size - offset :]
                if not part:
                    return
                yield artifact, offset, part
            offset = max(0, offset - artifact.size)


def batches(artifacts: Iterable[Artifact], *, together: bool = True) -> Iterator[Batch]:
    """Yield requests for the contents of artifacts that are not empty; small ones that follow each other together."""
    batch: list[Artifact] = []
    room, characters = BATCH_BYTES, _BATCH_CHARACTERS
    for artifact in artifacts:
        if not artifact.size:
            continue
        needed = len(artifact.name.encode()) * 3 + len(artifact.version) + 16  # encoded in a URL
        if batch and (not together or artifact.size > room or needed > characters):
            yield Batch(tuple(batch))
            batch, room, characters = [], BATCH_BYTES, _BATCH_CHARACTERS
        batch.append(artifact)
        room -= artifact.size
        characters -= needed
    if batch:
        yield Batch(tuple(batch))


def matching(artifacts: Iterable[Artifact], pattern: str | None) -> ArtifactList:
    """Return the artifacts whose name fits a pattern; one without `/` is for the last part of the name.

    >>> found = [Artifact("model/a.pt", 1, ""), Artifact("artifacts/a.csv", 1, "")]
    >>> [each.name for pattern in ("*.pt", "artifacts/*") for each in matching(found, pattern)]
    ['model/a.pt', 'artifacts/a.csv']
    """
    if pattern is None:
        return ArtifactList(artifacts)
    whole = "/" in pattern
    fits = (each for each in artifacts if fnmatchcase(each.name if whole else each.name.rpartition("/")[2], pattern))
    return ArtifactList(fits)


def name_problem(name: str) -> str | None:
    """Return why a file of this name must not be written below a folder; None: it may.

    >>> name_problem("../x"), name_problem("model/x.pt")
    ("it has '..' in it", None)
    """
    parts = name.split("/")
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "it is absolute"
    for part in parts:
        if part in ("", ".", ".."):
            return f"it has {part!r} in it"
    if re.search(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]", name):
        return "it has a backslash, a control character or half of a surrogate pair in it"
    return f"{WORK_FOLDER} is for what is not complete" if parts[0] == WORK_FOLDER else None


def _artifact_from(found: dict[str, object]) -> Artifact:
    size: int = require("integer", found.get("size"), "size")
    if not 0 <= size < _TOO_LARGE:
        raise ValueError("size cannot be that of a file")
    return Artifact(
        name=require("string", found.get("name"), "name", min_length=1),
        size=size,
        modified=require("string", found.get("modified"), "modified"),
        version=require("string", found.get("version"), "version"),
    )


def total_size(artifacts: Sequence[Artifact]) -> int:
    """Return the number of bytes of all artifacts."""
    return sum(each.size for each in artifacts)
