"""Type checkers read the annotations of a package only if it has a marker for it."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]


@pytest.mark.parametrize("package", BUILT["targets"]["wheel"]["packages"])
def test_every_package_of_the_wheel_has_the_marker_of_pep_561(package):
    assert (ROOT / package / "py.typed").is_file()
