"""Local servers for the benchmarks, each in a process of its own, so that it does not share one with its clients."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme
from attrs import field, frozen
from gradient_api.constants import EXPERIMENTS_URL
from gradient_api.parameters import SINGLE_NODE_PARAMETERS

from gradient_ext.parameters import request_body

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
_PARAMETERS = {
    "name": "mnist",
    "project_id": "prbenchmark",
    "machine_type": "K80",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
}


@frozen
class Wanted:
    """Experiments that a server has from the beginning.

    :param int count: how many
    :param int rows: how many log rows each of them prints, if it is started
    :param float seconds: for how many simulated seconds each of them runs; None: it is not started
    :param str command: what each of them runs, in a server with real runs
    """

    count: int = 1
    rows: int = 20
    seconds: float | None = None
    command: str = "python mnist.py --epochs 10"

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of such an experiment."""
        simulation = {"GRADIENT_MOCK_LOG_LINES": self.rows, "GRADIENT_MOCK_SECONDS": self.seconds or 0}
        return {**_PARAMETERS, "command": self.command, "experiment_env": simulation}

    @property
    def body(self) -> dict[str, Any]:
        """The body of the request that creates it."""
        return request_body(SINGLE_NODE_PARAMETERS, self.parameters, "create_single_node()")


@frozen
class Server:
    """A running server."""

    places: dict[str, str]
    """The addresses and the API key."""
    handles: list[str]
    """The handle of the first experiment of each kind."""
    authority: str | None
    """A file with the certificate of its authority."""
    _process: subprocess.Popen[str] = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that lead clients to it."""
        found = {
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": self.places["experiments_url"],
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST_V2": self.places["experiments_url"].replace("/v1/", "/v2/"),
            "PAPERSPACE_CONFIG_LOG_HOST": self.places["logs_url"],
            "PAPERSPACE_API_KEY": self.places["api_key"],
        }
        # for httpx and for requests
        certified = {"SSL_CERT_FILE": self.authority, "REQUESTS_CA_BUNDLE": self.authority} if self.authority else {}
        return {**found, **certified}

    def figures(self) -> dict[str, int]:
        """Return requests and connections since the start, open requests, and the most memory in bytes."""
        assert self._process.stdin
        assert self._process.stdout
        print(file=self._process.stdin, flush=True)
        told: dict[str, int] = json.loads(self._process.stdout.readline())
        return told


@contextlib.contextmanager
def serving(
    *wanted: Wanted,
    time_scale: float = 1.0,
    tls: bool = False,
    processor: int | None = None,
    runs: Path | None = None,
    raw: Path | None = None,
) -> Iterator[Server]:
    """Run a server for the time of a block.

    :param wanted: the experiments in it
    :param float time_scale: simulated seconds in a real second
    :param bool tls: whether it speaks TLS, with a certificate of an authority of its own
    :param int processor: the only processor that it may use
    :param Path runs: the folder of real runs; None: runs are simulated
    :param Path raw: a file that it sends at `/raw` as it is; None: it does not
    """
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as ending:
        authority, certificate = _certified(Path(directory)) if tls else (None, None)
        experiments = [
            {"count": kind.count, "body": kind.body, "start": kind.seconds is not None} for kind in wanted or [Wanted()]
        ]
        settings = {
            "time_scale": time_scale,
            "certificate": certificate,
            "processor": processor,
            "runs": None if runs is None else str(runs),
            "raw": None if raw is None else str(raw),
            "experiments": experiments,
        }
        program = [sys.executable, "-m", "benchmarks.server_program", json.dumps(settings)]
        pipe = subprocess.PIPE
        process = ending.enter_context(subprocess.Popen(program, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        assert process.stdout
        told = json.loads(process.stdout.readline())
        url = f"{'https' if tls else 'http'}://{HOST}:{told['port']}"
        experiments_url = f"{url}{urlsplit(EXPERIMENTS_URL).path}/"
        places = {"experiments_url": experiments_url, "logs_url": url, "api_key": told["api_key"]}
        yield Server(places, told["handles"], authority, process)


def _certified(directory: Path) -> tuple[str, str]:
    """Write the certificate of an authority, and one that it has signed, with its key."""
    authority, signed = trustme.CA(), directory / "server.pem"
    authority.cert_pem.write_to_path(directory / "authority.pem")
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(signed)
    return str(directory / "authority.pem"), str(signed)
