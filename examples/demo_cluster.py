"""Train on a cluster of three machines, which are here for as long as this runs. `make demo-cluster` runs it.

Slurm or Ray run on the machines: namespaces of this one, in a network that nobody else reaches. Only the page of the
server can be opened in a browser here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from examples.demo import DIM, MODELS, THREE_NODES, can_show_progress, colored, heading, summary
from gradient import ExperimentsClient, GradientSdkError
from gradient_server import LocalServer
from gradient_server.runners.base import Runner
from gradient_server.runners.machine_types import MachineType
from gradient_server.runners.ray.runner import RayRunner
from gradient_server.runners.slurm.runner import SlurmRunner
from tests.cluster.machines import execute
from tests.cluster.ray_cluster import RayCluster, why_no_ray
from tests.cluster.slurm_cluster import SlurmCluster, why_no_slurm

# Each machine has two processors: three such nodes need three of them.
MACHINE_TYPES = {"whole": MachineType(cpus=2)}
EXPERIMENT = {
    **THREE_NODES,
    "name": "digits on three machines",
    # `python` is the interpreter of the cluster. The machines share a file system, as those of most clusters do.
    "worker_command": "python distributed.py",
    "parameter_server_command": "python distributed.py",
    "worker_machine_type": "whole",
    "parameter_server_machine_type": "whole",
    # Without a path for the model it is an artifact.
    "experiment_env": {name: value for name, value in THREE_NODES["experiment_env"].items() if name != "PS_MODEL_PATH"},
}
COLORS = {"worker 0": "36", "worker 1": "33", "parameter server 0": "35"}


def main(engine: str, page: socket.socket) -> None:
    began = time.monotonic()
    model = MODELS / engine
    shutil.rmtree(model, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix="gradient-demo-") as folder,
        cluster(engine, Path(folder) / "runs") as runner,
        LocalServer(runner=runner) as server,
        forwarded(page, server.url),
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
    ):
        print(f"While this demo runs, a local server executes commands there: http://127.0.0.1:{page.getsockname()[1]}")
        print(f"Look at it in a browser; the key is {server.api_key}")
        heading("Two workers and a parameter server learn to read handwritten digits, each on a machine of its own")
        accuracy, experiment_id = 0.0, client.run_multi_node(**EXPERIMENT)
        for row in client.yield_logs(experiment_id, progress=can_show_progress()):
            node = row.node or ""
            print(f"  {colored(f'{node:<20}', COLORS.get(node, DIM))}{row.message}", flush=True)
            if row.message.startswith("accuracy "):
                accuracy = float(row.message.split()[1])
        # It raises an error with the reason if the experiment has failed.
        print(client.wait(experiment_id).remark)
        client.download(experiment_id, model, pattern="*.npz")
    print()
    (found,) = model.rglob("digits.npz")
    summary(engine.capitalize(), accuracy, found.parent)
    print(f"Done in {time.monotonic() - began:.0f} seconds. A cluster that stays: docs/{engine}.md")


@contextlib.contextmanager
def cluster(engine: str, runs: Path) -> Iterator[Runner]:
    """Start a cluster, and yield a runner for it, which is not connected yet."""
    with contextlib.ExitStack() as stack:
        if engine == "slurm":
            with dots("Starting Slurm on three machines here"):
                stack.enter_context(SlurmCluster())
            yield SlurmRunner(runs, machine_types=MACHINE_TYPES)
        else:
            # It warns of plain http, which does not leave this network.
            logging.getLogger("gradient_server").setLevel(logging.ERROR)
            token = secrets.token_urlsafe(32)
            with dots("Starting Ray on three machines here, which takes 10 to 40 seconds"):
                started = stack.enter_context(RayCluster(token=token))
            yield RayRunner(runs, address=started.address, token=token, machine_types=MACHINE_TYPES)


@contextlib.contextmanager
def dots(text: str) -> Iterator[None]:
    """Print a text, a dot for each second of a block, and how long it took."""
    began, is_over = time.monotonic(), threading.Event()

    def work() -> None:
        while not is_over.wait(1):
            print(".", end="", flush=True)

    print(text, end=" ", flush=True)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    print(f" ready after {time.monotonic() - began:.0f} s")


@contextlib.contextmanager
def forwarded(page: socket.socket, url: str) -> Iterator[None]:
    """Forward connections to a socket, which listens outside of this network, to a server in it."""
    port = int(url.rpartition(":")[2])

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.start_server(forward, sock=page))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    yield
    loop.call_soon_threadsafe(loop.stop)


def installed_engine() -> str:
    """Return the engine that can be started here."""
    reasons = {"slurm": why_no_slurm(), "ray": why_no_ray()}
    for engine, reason in reasons.items():
        if reason is None:
            return engine
    return sys.exit("\n".join(f"{engine.capitalize()}: {reason}" for engine, reason in reasons.items()))


if __name__ == "__main__":
    # SIGTERM ends it like Ctrl-C, so that its processes end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)
    chosen, *inherited = sys.argv[1:]
    if not inherited:
        # Sockets stay in the network in which they were made.
        outside = socket.create_server(("127.0.0.1", 0))
        outside.set_inheritable(True)
        execute([sys.executable, "-m", "examples.demo_cluster", chosen, str(outside.fileno())])
    try:
        main(chosen or installed_engine(), socket.socket(fileno=int(inherited[0])))
    except KeyboardInterrupt:
        print("\nInterrupted; the cluster and all that it ran have ended.", file=sys.stderr)
        sys.exit(130)
    except (GradientSdkError, RuntimeError, TimeoutError) as error:
        sys.exit(f"\n{error}")
