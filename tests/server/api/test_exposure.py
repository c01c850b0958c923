"""Where a server may listen that executes commands: on this machine alone, unless somebody says otherwise."""

import doctest

import pytest

from gradient_server.api import exposure
from gradient_server.api.exposure import checked_exposure, is_loopback

LOOPBACK = ["127.0.0.1", "127.0.0.2", "::1", "localhost", "LOCALHOST"]
EXPOSED = [
    "0.0.0.0",
    "::",
    "192.0.2.7",
    "2001:db8::1",
    "box",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "127.1",
]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("expose", [False, True])
def test_this_machine(host, expose):
    """Its own addresses need no further word."""
    assert is_loopback(host)
    assert checked_exposure(host, runner_is_real=True, expose=expose) == host


@pytest.mark.parametrize("host", EXPOSED)
def test_everybody(host):
    """What others may reach is refused with the reason and with what to say; having said it, or simulated, it goes."""
    assert not is_loopback(host)
    with pytest.raises(ValueError, match=r"run any command here as you.*--expose"):
        checked_exposure(host, runner_is_real=True, expose=False)
    assert checked_exposure(host, runner_is_real=True, expose=True) == host
    assert checked_exposure(host, runner_is_real=False, expose=False) == host


@pytest.mark.parametrize("host", ["", "a" * 64])
@pytest.mark.parametrize("expose", [False, True])
def test_what_is_no_address(host, expose):
    """It is refused whatever was said."""
    with pytest.raises(ValueError, match="no address"):
        checked_exposure(host, runner_is_real=True, expose=expose)


def test_the_examples():
    """What its documentation shows is so."""
    assert doctest.testmod(exposure).failed == 0
