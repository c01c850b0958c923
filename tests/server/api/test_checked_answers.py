"""Answers that the contract does not allow: with `check_answers` the server finds them, and says so."""

import subprocess
import sys

import pytest

# A store of experiments that have no id, so that every answer about them is wrong.
SCRIPT = """
import asyncio

import httpx
from attrs import evolve

from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store


class NamelessStore(Store):
    def newest_first(self):
        return [evolve(found, handle="") for found in super().newest_first()]


async def main():
    clock = Clock()
    store = NamelessStore(clock, 0, SimulatedRunner())
    store.add({"projectHandle": "p", "experimentTypeId": 1})
    app = application(store, clock, "key", check_answers=CHECK)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        answered = await client.get("/experiments/v1/experiments/", headers={"X-API-Key": "key"})
        print(answered.status_code, answered.text)


asyncio.run(main())
"""


def run(check, *flags):
    program = SCRIPT.replace("CHECK", repr(check))
    return subprocess.run(
        [sys.executable, *flags, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("flags", [(), ("-O",)], ids=["as usual", "without assertions"])
def test_a_wrong_answer_is_a_500_that_says_why(flags):
    """The caller and the log are told the operation, the place in the answer, and what is wrong there."""
    done = run(True, *flags)
    assert done.stdout.startswith("500 ")
    for told in (done.stdout, done.stderr):
        assert "listExperiments" in told
        assert "data.0" in told
    assert "Traceback" not in done.stdout + done.stderr


def test_without_the_check_the_answer_is_given():
    """The server of the command line gives the answer that it has."""
    done = run(False)
    assert done.stdout.startswith("200 ")
    assert done.stderr == ""
