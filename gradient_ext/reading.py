"""Reading the attributes of experiments out of answers. No I/O.

They are read from the JSON of the answer, without a model in between: a list has thousands of them. An answer has a
dozen of the names that it might have, so its names are looked up, and not all that there are are looked for. What is of
its type already is taken as it is; only what is odd is looked at closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradient_api.experiment_fields import ExperimentField

from gradient_ext._json import EXACT_TYPES, coerce, require


class AttributeReader:
    """Reads the attributes of one kind of experiment.

    :param fields: which attributes it has, and under which names answers carry them
    """

    def __init__(self, fields: Sequence[ExperimentField]) -> None:
        named: dict[str, tuple[ExperimentField, ...]] = {}
        for field in fields:
            for name in field.stored_names:
                named[name] = (*named.get(name, ()), field)
        # What several fields share has no type of its own, so that it is looked at closely for each of them.
        self._stored = {
            name: (first.name, None if others else EXACT_TYPES.get(first.json_type), (first, *others))
            for name, (first, *others) in named.items()
        }
        around = {
            field.outer_name: (field.name, EXACT_TYPES.get(field.json_type), field)
            for field in fields
            if field.outer_name is not None
        }
        self._required = [(name, *place) for name, place in around.items() if place[-1].required]
        self._around = {name: place for name, place in around.items() if not place[-1].required}

    def read(self, stored: Mapping[str, object], answer: Mapping[str, object]) -> dict[str, Any]:
        """Take the first value of the right type: from the stored parameters, then from the experiment around them.

        Without stored names a field belongs to the experiment itself, and a parameter of that name is not looked at.

        :param stored: the parameters that the experiment was created with
        :param answer: the experiment around them

        :returns: every attribute that has a value; others may be there as None

        :raises ValueError: it lacks what every answer has to tell
        """
        found: dict[str, Any] = {}
        for name, attribute, exact_type, field in self._required:
            value = answer.get(name)
            # What is empty may be too short.
            found[attribute] = value if type(value) is exact_type and value else _told(field, name, answer)
        place_of = self._stored.get
        for name, value in stored.items():
            if value is not None and (place := place_of(name)) is not None:
                attribute, exact_type, fields = place
                if type(value) is exact_type and attribute not in found:
                    found[attribute] = value
                else:
                    found |= {field.name: _first(field, stored) for field in fields}
        place_around = self._around.get
        for name, value in answer.items():
            if value is not None and (around := place_around(name)) is not None:
                attribute, exact_type, field = around
                if found.get(attribute) is None:
                    found[attribute] = value if type(value) is exact_type else coerce(field.json_type, value)
        return found

    def check_complete(self, answer: Mapping[str, object]) -> None:
        """Look whether everything is there that every answer has to tell, whatever it is.

        :raises ValueError: something is missing
        """
        for name, *_ in self._required:
            _present(name, answer)


def _present(name: str, answer: Mapping[str, object]) -> object:
    if name not in answer:
        raise ValueError(f"an experiment lacks its {name}")
    return answer[name]


def _told(field: ExperimentField, name: str, answer: Mapping[str, object]) -> Any:
    return require(field.json_type, _present(name, answer), name, min_length=field.min_length)


def _first(field: ExperimentField, stored: Mapping[str, object]) -> Any:
    """Take the first value of the right type that is there under any of the names of a field."""
    for name in field.stored_names:
        value = coerce(field.json_type, stored.get(name))
        if value is not None:
            return value
    return None
