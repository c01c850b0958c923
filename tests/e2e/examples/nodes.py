"""The scripts of examples/digits as processes: how to start them, and what they print."""

import base64
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
PATIENCE = 30
EPOCH = re.compile(r"epoch +(\d+)/(\d+)  loss (\d+\.\d{4})  accuracy (\d\.\d{4})")

QUICKLY = {"LEARNING_RATE": "0.3", "EPOCHS": "3"}
"""Settings that reach more than 95 % early."""


@contextlib.contextmanager
def script(name, **environment):
    """Run a script with only this environment, for the time of a block."""
    # Several processes on few processors: threads of numpy would only be in each other's way.
    basis = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(DIGITS / name)],
        env={**basis, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process):
    """Wait until it has ended, and return its exit code, its output and its errors."""
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def outcome(name, **environment):
    """Run a script to its end."""
    with script(name, **environment) as process:
        return ended(process)


def epochs(output):
    """Return the numbers of the lines about epochs."""
    found = [EPOCH.fullmatch(line) for line in output.splitlines() if line.startswith("epoch")]
    return [(int(match[1]), int(match[2]), float(match[3]), float(match[4])) for match in found]


def free_addresses(count):
    """Return addresses on this machine at which nobody listens."""
    addresses = []
    # Not of those that the system gives to who connects, as other tests do meanwhile.
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        if len(addresses) == count:
            return addresses
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            addresses.append(f"127.0.0.1:{port}")
    raise AssertionError("no free ports")


def ps_config(kind, index, workers, servers):
    """Return the environment of a node in the form of TensorFlow."""
    config = {
        "cluster": {"worker": workers, "ps": servers},
        "task": {"type": kind, "index": index},
        "environment": "cloud",
    }
    return {"PS_CONFIG": base64.urlsafe_b64encode(json.dumps(config).encode()).decode()}


def ps_config_with_master(kind, index, workers, servers):
    """Return the same with the first worker as the master, which is counted separately."""
    config = {
        "cluster": {"master": workers[:1], "worker": workers[1:], "ps": servers},
        "task": {"type": kind, "index": index},
        "environment": "cloud",
    }
    if kind == "worker":
        config["task"] = {"type": kind, "index": index - 1} if index else {"type": "master", "index": 0}
    return {"PS_CONFIG": base64.urlsafe_b64encode(json.dumps(config).encode()).decode()}


def plain_variables(kind, index, workers, servers):
    """Return the environment of a node as plain variables."""
    return {"TYPE": kind, "INDEX": str(index), "WORKER_HOSTS": ",".join(workers), "PS_HOSTS": ",".join(servers)}
