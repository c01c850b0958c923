"""Every test of this folder runs with every runner."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.server.runners.suite.bench import Bench
from tests.server.runners.suite.kinds import KINDS, Kind


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request) -> Kind:
    return request.param()


@pytest.fixture
def bench(kind, tmp_path) -> Iterator[Bench]:
    """A runner that is not there any more after the test, and none of its runs."""
    with contextlib.closing(Bench(kind, tmp_path)) as made:
        yield made
