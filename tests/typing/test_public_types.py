"""Every public type is informative: no `Any`, and no internals of the generated code."""

import os
import subprocess
import sys
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from gradient_api.types import Unset

import gradient
from tests.typing.public_types import is_uninformative, places

PLACES = places(gradient)


def test_attributes_parameters_and_results_of_everything_public_have_informative_types():
    assert [place for place, hint in PLACES if is_uninformative(hint)] == []


@pytest.mark.parametrize("name", gradient.__all__)
def test_members_of_every_public_class_are_found(name):
    public = getattr(gradient, name)
    if isinstance(public, type):
        seen = {place.partition(".")[0] for place, _ in PLACES}
        assert seen & {kind.__name__ for kind in public.__mro__}


@pytest.mark.parametrize(
    "place",
    [
        "ExperimentsClient.create_single_node(container)",
        "ExperimentsReader.get(return)",
        "ExperimentsReader.wait(until)",
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
def test_methods_keywords_properties_attributes_and_keys_are_found(place):
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
def test_uninformative_parts_of_a_type_are_found(hint):
    assert is_uninformative(hint)


def test_pyright_knows_the_types_of_all_public_names(tmp_path):
    # In a directory of its own: pyright takes the current one for the code of the user.
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
