"""What is read from pyproject.toml: Pythons and dependencies."""

import tomllib

from packaging.specifiers import SpecifierSet

from tests.versions.environments import ROOT
from tests.versions.project import project_of

DOCUMENT = {
    "project": {
        "requires-python": ">=3.11",
        "classifiers": [
            "Programming Language :: Python :: 3",
            "Programming Language :: Python :: 3.11",
            "Programming Language :: Python :: 3.12",
            "Programming Language :: Python :: Implementation :: CPython",
        ],
        "dependencies": ["httpx>=0.27,<1", "anyio>=4.0"],
        "optional-dependencies": {"server": ["uvicorn[standard]>=0.40; python_version >= '3.11'", "anyio>=4.2"]},
    }
}


def test_pythons_and_dependencies_are_read():
    """Of classifiers those with a minor version, of dependencies the names, those of extras too, each once."""
    project = project_of(DOCUMENT)
    assert project.requires_python == ">=3.11"
    assert project.classified == ("3.11", "3.12")
    assert project.dependencies == ("httpx", "anyio", "uvicorn")


def test_the_project_itself_names_pythons_that_it_allows():
    """No classifier is outside `requires-python`, and the lowest that is allowed is named."""
    project = project_of(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    allowed = SpecifierSet(project.requires_python)
    assert all(minor in allowed for minor in project.classified)
    assert any(minor in project.requires_python for minor in project.classified)
