"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import gradient
import gradient_ext

MODULES = [
    module.name
    for package in (gradient, gradient_ext)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
]
PUBLIC = {name: getattr(gradient, name) for name in gradient.__all__}


def tried(name):
    return doctest.testmod(importlib.import_module(name), extraglobs=PUBLIC)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Each prints what is shown below it, for a user who has imported what is public."""
    assert tried(name).failed == 0


def test_there_are_examples():
    """Whoever moves them elsewhere is told here."""
    assert sum(tried(name).attempted for name in MODULES) > 20
