"""Type checkers read the annotations of a package only where it says that it has them."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]


@pytest.mark.parametrize("package", BUILT["targets"]["wheel"]["packages"])
def test_every_package_says_that_it_is_typed(package):
    """All that goes into the wheel has the marker of PEP 561, the generated package too."""
    assert (ROOT / package / "py.typed").is_file()
