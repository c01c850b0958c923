"""Every test of this folder runs with every runner."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.gradient_server.runners.bench import Bench
from tests.gradient_server.runners.kinds import KINDS, Kind


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request) -> Kind:
    return request.param()


@pytest.fixture
def bench(kind, tmp_path) -> Iterator[Bench]:
    """A runner that is not there any more after the test, and none of its runs."""
    with contextlib.closing(Bench(kind, tmp_path)) as made:
        yield made
