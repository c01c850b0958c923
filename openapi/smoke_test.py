"""Import what `generate` is about to write, and use it once: create and read each kind of experiment, and a project.

The argument is the directory with the fresh packages. What does not work is printed, and the exit code is 1.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import pydoc
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradient_api.parameters import Parameter

PACKAGES = ("gradient_api", "gradient")
VALUES = {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None, "array": [], "object": {}}


def main() -> int:
    """Run the command line."""
    directory = Path(sys.argv[1])
    sys.path.insert(0, str(directory))
    try:
        import_all()
        found = [*taken_names()] or [*lost_values()]
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = Path(error.filename or "") if isinstance(error, SyntaxError) else Path(last.filename)
        line = error.lineno if isinstance(error, SyntaxError) else last.lineno
        name = place.relative_to(directory) if place.is_relative_to(directory) else place.name
        found = [f"{name}, line {line}: {type(error).__name__}: {error}"]
    print("\n".join(dict.fromkeys(found)))
    return 1 if found else 0


def import_all() -> None:
    """Import every module, render the documentation of what users call, and let the server read the contract."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    importlib.import_module("gradient_server.api.contract").packaged_contract()
    gradient = importlib.import_module("gradient")
    for name in gradient.__all__:
        pydoc.render_doc(getattr(gradient, name))


def taken_names() -> Iterator[str]:
    """Yield a sentence for each attribute of an experiment or a project that has the name of one of its methods."""
    from gradient import BaseExperiment, MultiNodeExperiment, Project, SingleNodeExperiment

    for experiment_class in (BaseExperiment, SingleNodeExperiment, MultiNodeExperiment, Project):
        # In the generated halves, these are the attributes themselves.
        handwritten = [base for base in experiment_class.__mro__ if "_fields" not in vars(base)]
        taken = {name for base in handwritten for name in vars(base)}
        for name in sorted(taken & {field.name for field in experiment_class._fields}):
            yield f"{name} is a method of experiments, so a field needs an x-python-name that is another."


def lost_values() -> Iterator[str]:
    """Yield a sentence for each parameter that a request does not carry, or an experiment does not show."""
    from gradient_api import parameters
    from gradient_api.experiment_fields import STORED_PARAMETERS, BaseExperimentFields

    from gradient_ext.experiments import ExperimentList, experiment_from
    from gradient_ext.parameters import request_body, request_model
    from gradient_ext.projects import ProjectList, project_from

    outer = {str(field.outer_name): VALUES[field.json_type] for field in BaseExperimentFields._fields if field.required}
    history, stored = STORED_PARAMETERS
    for accepted in (value for value in vars(parameters).values() if isinstance(value, parameters.ParameterSet)):
        fields = [parameter for parameter in accepted.parameters if parameter.is_sent]
        given = {parameter.name: value_of(parameter) for parameter in fields}
        body = request_body(accepted, given, accepted.schema)
        sent = request_model(accepted, dict(given), accepted.schema).to_dict()
        # Commands are in base64 in a request, and texts in an answer.
        shown = body | {parameter.wire_name: given[parameter.name] for parameter in fields}
        types = {name: value for name, value in shown.items() if name in outer}
        made: Any
        kind: Any
        if accepted is parameters.PROJECT_PARAMETERS:
            noun, made, kind = "projects", project_from({**outer, **shown}), ProjectList
        else:
            noun, made = "experiments", experiment_from({**outer, **types, history: {stored: shown}})
            kind = ExperimentList
        for parameter in fields:
            if sent.get(parameter.wire_name) != body[parameter.wire_name]:
                yield f"{accepted.schema}: {parameter.wire_name} would not be sent."
            if getattr(made, parameter.name) != given[parameter.name]:
                yield f"{accepted.schema}: {noun} would not show {parameter.name}."
        made.show(file=io.StringIO())
        kind([made]).show(file=io.StringIO())


def value_of(parameter: Parameter) -> Any:
    """Return a value that a caller could give."""
    if parameter.choices:
        return parameter.choices[0]
    limits = [limit for limit in (parameter.minimum, parameter.maximum) if limit is not None]
    members = [VALUES[kind] for kind in parameter.member_types[:1]]
    match parameter.json_type:
        case "string":
            return "x" * (parameter.min_length or 1)
        case "integer" | "number" if limits:
            return limits[0]
        case "array":
            return members
        case "object":
            return dict(zip(["NAME"], members, strict=False))
    return VALUES[parameter.json_type]


if __name__ == "__main__":
    sys.exit(main())
