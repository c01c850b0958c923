"""Every type that a user meets says something: no `Any`, and nothing of the insides of the generated code."""

import os
import subprocess
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from gradient_api.types import Unset

import gradient
from tests.typing.public_types import places, says_nothing

PLACES = places(gradient)


def test_no_public_type_says_nothing():
    """Attributes, parameters and results of all that is public have types that tell what they are."""
    assert [place for place, hint in PLACES if says_nothing(hint)] == []


@pytest.mark.parametrize("name", gradient.__all__)
def test_every_public_class_has_been_looked_at(name):
    """The walk sees the members of each public class, and so cannot pass by finding nothing."""
    public = getattr(gradient, name)
    if isinstance(public, type):
        seen = {place.partition(".")[0] for place, _ in PLACES}
        assert seen & {kind.__name__ for kind in public.__mro__}


@pytest.mark.parametrize(
    "place",
    [
        "ExperimentsClient.create_single_node(container)",
        "ExperimentsClient.get(return)",
        "ExperimentsClient.wait(until)",
        "BaseClient.with_options(changes)",
        "BaseExperiment.experiment_env",
        "ExperimentFailedError.experiment_error(return)",
        "ExperimentState.get_state_str(state_int)",
        "LogRow.line",
        "MultiNodeParameters.worker_count",
        "Options.patience",
        "ResourceFetchingError.__init__(details)",
    ],
)
def test_every_kind_of_place_is_looked_at(place):
    """Methods, keywords out of the contract, properties, class methods, attributes and keys are all among them."""
    assert place in dict(PLACES)


@pytest.mark.parametrize(
    "hint",
    [
        typing.Any,
        Unset,
        str | Unset,
        dict,
        dict[str, typing.Any],
        list | None,
        Mapping[str, Sequence[typing.Any]],
        typing.Callable[[typing.Any], None],
    ],
)
def test_types_that_say_nothing_are_told(hint):
    """What says nothing is found wherever it stands in a type."""
    assert says_nothing(hint)


def test_the_package_is_completely_typed(tmp_path):
    """To pyright, which reads only what is annotated of a library, the types of all public names are known."""
    # From a directory of its own: what lies in the current one is no library.
    (tmp_path / "pyrightconfig.json").write_text("{}", encoding="utf-8")
    binaries = Path(sys.executable).parent
    verified = subprocess.run(
        [sys.executable, "-m", "pyright", "--verifytypes", "gradient", "--ignoreexternal"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "py.typed" in verified.stdout
