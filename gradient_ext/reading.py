"""Reading the attributes of experiments out of answers. No I/O.

An answer has a dozen of the names that it might have, so its names are looked up, and not all that there are are looked
for. What is of its type already is taken as it is; only what is odd is looked at closely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from gradient_api.experiment_fields import ExperimentField
from gradient_api.models import Experiment
from gradient_api.types import UNSET

from gradient_ext.values import EXACT_TYPES, told, typed


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
        self._around = [field for field in fields if field.outer_attribute is not None]
        self._values_around = attrgetter(*(str(field.outer_attribute) for field in self._around))

    def read(self, stored: Mapping[str, object], answer: Experiment) -> dict[str, Any]:
        """Take the first value of the right type: from the stored parameters, then from the experiment around them.

        Without stored names a field belongs to the experiment itself, and a parameter of that name is not looked at.

        :param stored: the parameters that the experiment was created with
        :param Experiment answer: the experiment around them

        :returns: every attribute that has a value; others may be there as None

        :raises MalformedResponseError: it lacks what every answer has to tell
        """
        found: dict[str, Any] = {}
        for name, value in stored.items():
            place = self._stored.get(name)
            if place is not None and value is not None:
                attribute, exact_type, fields = place
                if type(value) is exact_type and attribute not in found:
                    found[attribute] = value
                else:
                    found |= {field.name: _first(field, stored) for field in fields}
        for field, value in zip(self._around, self._values_around(answer), strict=True):
            if field.required:
                name = field.outer_name or field.name
                found[field.name] = told(field.json_type, value, name, min_length=field.min_length)
            elif value is not None and value is not UNSET and found.get(field.name) is None:
                found[field.name] = typed(field.json_type, value)
        return found


def _first(field: ExperimentField, stored: Mapping[str, object]) -> Any:
    """Take the first value of the right type that is there under any of the names of a field."""
    for name in field.stored_names:
        value = typed(field.json_type, stored.get(name))
        if value is not None:
            return value
    return None
