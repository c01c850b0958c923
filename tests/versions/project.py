"""What `pyproject.toml` says of Pythons and of dependencies, read from there and written nowhere else. Pure."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from attrs import frozen
from packaging.requirements import Requirement

_CLASSIFIER = re.compile(r"Programming Language :: Python :: (\d+\.\d+)")


@frozen
class Project:
    """What the package promises: the Pythons it takes, those it names, and what it depends on."""

    requires_python: str
    classified: tuple[str, ...]
    """The Pythons that classifiers name, as 3.11."""
    dependencies: tuple[str, ...]
    """Names of all that the package and its extras need, as the registry spells them."""


def project_of(document: dict[str, Any]) -> Project:
    """Read what there is of that in a `pyproject.toml`.

    :param dict document: the file, as tomllib gives it
    """
    project = document["project"]
    needed = chain(project["dependencies"], *project.get("optional-dependencies", {}).values())
    named = filter(None, map(_CLASSIFIER.fullmatch, project["classifiers"]))
    return Project(
        requires_python=project["requires-python"],
        classified=tuple(found[1] for found in named),
        dependencies=tuple(dict.fromkeys(Requirement(text).name for text in needed)),
    )
