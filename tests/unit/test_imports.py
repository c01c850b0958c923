"""Imports are lazy, and `help()` and `dir()` show everything public."""

import importlib
import inspect
import json
import pydoc
import re
import subprocess
import sys
import typing
from importlib import metadata

import pytest

import gradient

HEAVY = ["anyio", "attrs", "gradient_api", "gradient_ext", "httpx", "pandas", "rich", "stamina", "typing"]
ASKED = "; import json, sys; print(json.dumps([name for name in {names} if name in sys.modules]))"


def loaded(code, names):
    """Return which of these modules are imported by some code in a process of its own."""
    script = code + ASKED.format(names=names)
    done = subprocess.run([sys.executable, "-S", "-c", PATH + script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


PATH = f"import sys; sys.path[:] = {sys.path!r}; "
"""Without the site, which loads what other packages ask for when any Python starts."""


def test_importing_the_package_imports_nothing_else():
    assert loaded("import gradient", HEAVY) == []


@pytest.mark.parametrize(
    "then", ["", "; ExperimentsClient('a-key', base_url='http://localhost', logs_url='http://localhost')"]
)
def test_making_a_client_imports_neither_http_nor_models_nor_retries(then):
    heavy = ["anyio", "httpx", "pandas", "rich", "stamina", "gradient_api.models", "gradient_ext.methods"]
    assert loaded("from gradient import ExperimentsClient, constants" + then, heavy) == []


def test_dir_lists_the_public_names_and_each_exists():
    assert dir(gradient) == sorted(gradient.__all__) == gradient.__all__
    for name in gradient.__all__:
        assert getattr(importlib.import_module("gradient"), name) is not None
    assert gradient.__version__
    with pytest.raises(AttributeError, match="has no attribute 'ExperimentClient'"):
        _ = gradient.ExperimentClient


def test_without_the_metadata_of_the_package_there_is_a_version_all_the_same(monkeypatch):
    """In a zip file, or in a copy of the source."""

    def no_version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", no_version)
    assert gradient.__version__ == "0+unknown"


@pytest.mark.parametrize("name", [name for name in gradient.__all__ if inspect.isclass(getattr(gradient, name))])
def test_classes_have_the_module_from_which_users_import_them(name):
    """In `help()`, in tracebacks and in pickles."""
    kind = getattr(gradient, name)
    assert kind.__module__ == ("gradient.constants" if name in dir(gradient.constants) else "gradient")
    assert getattr(sys.modules[kind.__module__], name) is kind
    assert inspect.getdoc(kind)


def public_functions():
    """Return the public methods and properties of all public classes, by their full names."""
    for name in gradient.__all__:
        kind = getattr(gradient, name)
        for member, found in inspect.getmembers(kind) if inspect.isclass(kind) else ():
            function = getattr(found, "fget", getattr(found, "__func__", found))
            is_ours = inspect.isfunction(function) and function.__module__.partition(".")[0].startswith("gradient")
            if is_ours and (not member.startswith("_") or member == "__init__"):
                yield f"{name}.{member}", function


@pytest.mark.parametrize("function", [pytest.param(function, id=name) for name, function in public_functions()])
def test_annotations_of_public_methods_can_be_evaluated(function):
    """As FastAPI, dependency injection and frameworks for agents do."""
    assert typing.get_type_hints(function) is not None
    assert inspect.signature(function, eval_str=True)


def test_annotations_are_the_public_classes():
    hints = typing.get_type_hints(gradient.AsyncExperimentsClient.get)
    assert hints == {"experiment_id": str, "return": gradient.BaseExperiment}
    assert typing.get_type_hints(gradient.ExperimentsClient.logs)["return"] is gradient.LogRows


def test_help_on_the_errors_shows_every_exception_and_nothing_internal():
    errors = importlib.import_module("gradient.errors")
    assert errors.__all__ == [name for name in gradient.__all__ if name.endswith("Error")]
    shown = pydoc.render_doc(errors, renderer=pydoc.plaintext)
    for name in errors.__all__:
        assert f"class {name}(" in shown
    assert "gradient_ext" not in shown


def test_help_on_the_package_shows_every_class_method_and_parameter():
    shown = pydoc.render_doc(gradient, renderer=pydoc.plaintext)
    for name in gradient.__all__:
        assert name in shown
    for told in (":param str machine_type: Machine type [required]", "yield_logs(", "iter_experiments(", ":raises"):
        assert told in shown
    assert not re.findall(rf"gradient_\w+\.\w+\.(?:{'|'.join(gradient.__all__)})\b", shown)


@pytest.mark.parametrize("name", ["SingleNode", "MultiNode"])
def test_help_on_parameters_and_experiments_lists_every_key_and_attribute(name):
    keys = inspect.getdoc(getattr(gradient, f"{name}Parameters")).splitlines()
    method = getattr(gradient.ExperimentsClient, "create_single_node" if name == "SingleNode" else "create_multi_node")
    told = [line for line in inspect.getdoc(method).splitlines() if line.startswith(":param ")]
    assert told == [line for line in keys if line.startswith(":param ")]

    kind = getattr(gradient, f"{name}Experiment")
    lines = inspect.getdoc(kind).splitlines()
    attributes = [re.match(r":param \w+ (\w+): \w", line) for line in lines if line.startswith(":param ")]
    assert sorted(found[1] for found in attributes) == sorted(field.name for field in kind._fields)
    assert ":param str dt_created: " in "\n".join(lines)
