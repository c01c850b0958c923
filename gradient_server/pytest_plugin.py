"""The pytest fixture `gradient_server`: a running local server, empty at the start of every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import gradient_server

if TYPE_CHECKING:
    from gradient_server import LocalServer

TIME_SCALE = 100.0
"""Simulated seconds in a real second: a run of the default length takes a fifth of a second."""


@pytest.fixture(scope="session")
def _running_gradient_server() -> Iterator[LocalServer]:
    try:
        server_class = gradient_server.LocalServer
    except ModuleNotFoundError as error:  # the extra is not installed
        pytest.fail(str(error), pytrace=False)
    with server_class(time_scale=TIME_SCALE, check_answers=True) as server:
        yield server


@pytest.fixture(name="gradient_server")
def _gradient_server(_running_gradient_server: LocalServer) -> LocalServer:
    """A running server without experiments; a test can move its clock with `advance(seconds)`."""
    _running_gradient_server.clock.scale = TIME_SCALE
    _running_gradient_server.reset()
    return _running_gradient_server
