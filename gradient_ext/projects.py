"""Projects as users see them, read from the JSON of answers.

Which attributes there are and under which names answers carry them comes from `gradient_api.experiment_fields`, which
is generated from the contract.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from attrs import define, field
from gradient_api.experiment_fields import ProjectFields
from gradient_api.models import ProjectList as ProjectPage
from gradient_api.models import ProjectListMeta
from gradient_api.types import UNSET, Unset

from gradient_ext import public
from gradient_ext._json import as_array, coerce
from gradient_ext.display.fields import ShownFields, read_fields
from gradient_ext.display.tables import Cell, Column, DisplayedList, Table, local_minute
from gradient_ext.errors import NotFoundError
from gradient_ext.redaction import escape_control_characters, redact


@public
@define(repr=False, kw_only=True)
class Project(ProjectFields, ShownFields):
    """A project, which groups experiments.

    Attributes that the answer of the server did not carry are None. Passwords in URLs are masked in the repr, and in
    what notebooks show, `show()` and `pretty()`.

    >>> project = Project(id="prlvf0u05", name="mnist")
    >>> print(project.pretty())
    id    prlvf0u05
    name  mnist

    :param str id: the id of the project
    :param str name: the name
    :param str repository_name: the name of the repository
    :param str repository_url: the URL of the repository
    :param str created: when it was created, as text
    :param list tags: the tags
    """


@public
class ProjectList(DisplayedList[Project]):
    """A list of projects, as `ProjectsClient.list()` returns it.

    It is a list in every way. Notebooks show it as a table; `show()` prints one.

    >>> print(ProjectList([Project(id="prlvf0u05", name="mnist")]).pretty())
    id         name
    prlvf0u05  mnist
    """

    __slots__ = ()

    def to_dict(self) -> list[dict[str, object]]:
        """Return the dictionary of each project, in a list that can be written as JSON.

        >>> ProjectList([Project(id="prlvf0u05", name="mnist")]).to_dict()[0]["id"]
        'prlvf0u05'

        :returns: the `to_dict()` of each project
        :rtype: list of dict
        """
        return [project.to_dict() for project in self]

    def _table(self, max_rows: int | None = None) -> Table:
        return _list_table(self, max_rows)


@define
class ProjectCursor:
    """The position of a reader in the list of projects.

    It stops at the total, at an empty page, and at one that brings nothing new: that of a server which ignores the
    offset.
    """

    tags: tuple[str, ...] | None = None
    """Only projects with one of these tags; None: all."""
    finished: bool = field(init=False)
    _count: int = field(default=0, init=False)
    _seen: set[str] = field(factory=set[str], init=False)

    def __attrs_post_init__(self) -> None:
        self.finished = self.tags == ()

    @property
    def tag_filter(self) -> list[str] | Unset:
        """The tags to send."""
        return [*self.tags] if self.tags else UNSET

    @property
    def filter(self) -> str:
        """The filter of the next page, as later clients wrote it."""
        return json.dumps({"offset": self._count, "where": {"dtDeleted": None}, "order": "dtCreated desc"})

    def take(self, page: ProjectPage) -> list[Project]:
        """Move to behind a page, and return its projects but for those that have come before.

        :raises ValueError: a project lacks its id
        """
        found = _projects(page)
        new = [project for project in found if project.id not in self._seen]
        self._seen |= {project.id for project in new}
        self._count += len(found)
        meta = page.meta
        total = coerce("integer", meta.total_items) if isinstance(meta, ProjectListMeta) else None
        self.finished = not new or (total is not None and self._count >= total)
        return new


def filter_of(project_id: str) -> str:
    """Return the filter that finds one project."""
    return json.dumps({"where": {"handle": project_id}})


def one_of(page: ProjectPage, project_id: str, url: str) -> Project:
    """Return the project with an id from a page.

    :param ProjectPage page: the answer to a filter with the id
    :param str project_id: the id
    :param str url: the address of the projects, for the error

    :raises NotFoundError: it is not there
    """
    for project in _projects(page):
        if project.id == project_id:
            return project
    # The server answers with an empty list.
    raise NotFoundError("Failed to fetch data", status=404, method="GET", url=url, words=["Project not found"])


def project_from(answer: object) -> Project:
    """Return the project in an answer.

    :param answer: the JSON object of the project

    :raises TypeError: it is no object
    :raises ValueError: it lacks its id
    """
    return read_fields(Project, answer)


def _projects(page: ProjectPage) -> list[Project]:
    return [project_from(each) for each in as_array(page.data)]


def _list_table(projects: Sequence[Project], max_rows: int | None) -> Table:
    """Return a row for each project; columns in which nothing would be are left out."""
    shown = projects[:max_rows]
    rows = [_row_of(project) for project in shown]
    names = ("id", "name", "repository", "created", "tags")
    used = [number for number in range(len(names)) if any(row[number].text for row in rows)]
    return Table(
        caption=f"{len(projects) or 'no'} project{'' if len(projects) == 1 else 's'}",
        columns=tuple(Column(names[number]) for number in used),
        rows=tuple(tuple(row[number] for number in used) for row in rows),
        left_out=len(projects) - len(shown),
        left_out_after=len(shown),
    )


def _row_of(project: Project) -> tuple[Cell, ...]:
    repository = project.repository_url or project.repository_name
    tags = ", ".join(project.tags or ())
    return _cell(project.id), _cell(project.name), _cell(repository), Cell(local_minute(project.created)), _cell(tags)


def _cell(text: str | None) -> Cell:
    return Cell(escape_control_characters(redact(text or "")))
