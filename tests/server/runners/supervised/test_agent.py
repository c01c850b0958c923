"""The agent of a node, without its supervisor: where it goes, and to whom it talks."""

import json
import socket
import subprocess
import sys

import pytest

from gradient_server.runners.supervised.agent import clock_difference
from gradient_server.runners.supervised.channel import Channel
from tests.server.runners.conftest import only_linux

pytestmark = only_linux
AGENT = [sys.executable, "-m", "gradient_server.runners.supervised.agent"]
TOKEN = "the-token-of-the-run"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


def start(listener, index=0, first=0, **options):
    """Start an agent that is to connect to a listener."""
    agent = subprocess.Popen(AGENT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    agent.stdin.write(json.dumps({"address": address, "token": TOKEN, "index": index, "first": first}).encode() + b"\n")
    agent.stdin.close()
    return agent


def accept(listener):
    connection, _ = listener.accept()
    connection.settimeout(20)
    return Channel(connection, 20)


def test_an_agent_obeys_only_who_knows_the_token_and_never_sends_it(listener):
    """Another program may listen at the address by the time that it connects."""
    with start(listener) as agent:
        channel = accept(listener)
        channel.send("challenge", challenge="a challenge")
        hello = channel.expect("hello")
        assert TOKEN not in str(hello)
        channel.send("welcome", proof=hello.content["proof"], spec={}, index=0, folders=None, time=0)
        assert "it is not the supervisor of the run" in agent.stderr.read().decode()
        channel.close()
    assert agent.returncode == 1


def test_the_index_can_be_that_of_the_task_of_slurm(listener):
    """All tasks of a step read the same line. Each component of a heterogeneous job has a step."""
    with start(listener, index=None, first=2, env={"SLURM_PROCID": "3"}):
        channel = accept(listener)
        channel.send("challenge", challenge="")
        index = channel.expect("hello").content["index"]
        channel.close()
    assert index == 5


@pytest.mark.parametrize("line", [b"", b"{}\n", b"nonsense\n", b'{"address": "h:1", "token": "t", "index": null}\n'])
def test_without_its_line_an_agent_says_who_starts_it(line):
    done = subprocess.run(AGENT, input=line, capture_output=True, check=False, env={})
    assert done.returncode == 1
    assert b"An agent is started by the supervisor of a run" in done.stderr


def test_an_agent_that_does_not_reach_its_supervisor_names_the_address(listener):
    port = listener.getsockname()[1]
    listener.close()
    line = json.dumps({"address": f"127.0.0.1:{port}", "token": TOKEN, "index": 0}).encode()
    done = subprocess.run(AGENT, input=line + b"\n", capture_output=True, check=False)
    assert done.returncode == 1
    assert f"The supervisor at 127.0.0.1:{port} cannot be reached any more" in done.stderr.decode()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_arrive_whole_however_the_network_cuts_them(listener, size):
    text = b'{"kind": "rows", "n": 1}'
    sent = b"".join(
        len(text).to_bytes(4, "big") + len(data).to_bytes(4, "big") + text + data for data in (b"", b"ab\n")
    )
    with socket.create_connection(listener.getsockname()) as connection:
        channel = accept(listener)
        for begin in range(0, len(sent), size):
            connection.sendall(sent[begin : begin + size])
            channel.receive()
        channel.close()
    assert [(each.kind, each.content, each.data) for each in channel.received] == [
        ("rows", {"n": 1}, b""),
        ("rows", {"n": 1}, b"ab\n"),
    ]


@pytest.mark.parametrize(
    ("answered", "difference"),
    [(100.0, 0.0), (100.3, 0.0), (100.5, 0.0), (160.0, 59.5), (40.0, -60.0)],
    ids=["with the question", "meanwhile", "with the answer", "ahead", "behind"],
)
def test_clocks_differ_only_as_far_as_that_is_certain(answered, difference):
    """A delay of the network alone moves no row: those of a node would be older than the state of its run."""
    assert clock_difference(100.0, answered, 100.5) == difference
