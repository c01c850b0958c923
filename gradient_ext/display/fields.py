"""Objects of which the contract has every attribute: read from answers, and shown."""

# The generated half of the classes belongs to this package, too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from gradient_api.experiment_fields import ExperimentField

from gradient_ext._json import as_object, coerce, require, texts
from gradient_ext.display.tables import Cell, Column, Displayed, Table
from gradient_ext.redaction import escape_control_characters, redact, redact_json

Shown = TypeVar("Shown", bound="ShownFields")


class ShownFields(Displayed):
    """The handwritten half of a class whose other half, with the attributes, is generated from the contract."""

    __slots__ = ()
    _fields: ClassVar[tuple[ExperimentField, ...]]
    id: str

    def __repr__(self) -> str:
        values = ((each.name, getattr(self, each.name)) for each in self._fields)
        shown = ", ".join(f"{name}={redact(repr(value))}" for name, value in values)
        return f"{type(self).__name__}({shown})"

    def to_dict(self) -> dict[str, object]:
        """Return all attributes by their names, in the order of the repr, in a dictionary that can be written as JSON.

        >>> Project(id="prlvf0u05", name="mnist").to_dict()["name"]
        'mnist'

        :returns: a value for every attribute, None where it has none; passwords in URLs are masked
        :rtype: dict
        """
        values = {each.name: getattr(self, each.name) for each in self._fields}
        return {name: redact_json(value) for name, value in values.items()}

    def _table(self, max_rows: int | None = None) -> Table:
        values = self.to_dict()
        for each in self._fields:
            if each.json_type == "array":
                values[each.name] = ", ".join(getattr(self, each.name) or ()) or None
        return Table(
            caption=escape_control_characters(f"{type(self).__name__} {self.id}"),
            columns=(Column("name"), Column("value", wraps=True)),
            rows=tuple(
                (Cell(name), Cell(escape_control_characters(redact(str(value)))))
                for name, value in values.items()
                if value is not None
            ),
            has_head=False,
        )


def read_fields(kind: type[Shown], answer: object) -> Shown:
    """Return an object of a class from the JSON of an answer.

    :raises TypeError: the answer is no object
    :raises ValueError: it lacks a required member
    """
    found = as_object(answer)
    return kind(**{each.name: _value(each, found.get(each.outer_name or "")) for each in kind._fields})


def _value(field: ExperimentField, value: object) -> Any:
    if field.required:
        return require(field.json_type, value, str(field.outer_name), min_length=field.min_length)
    return texts(value, field.member) if field.json_type == "array" else coerce(field.json_type, value)
