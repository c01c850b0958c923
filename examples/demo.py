"""Train on this machine: on one node, then on three nodes together. `make demo` runs it.

A local server executes the commands. It has a free port and a random key, and ends with this program.
"""

import importlib.util
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from gradient import ExperimentsClient, GradientSdkError
from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "build" / "demo"
ENOUGH = 0.95
INTERPRETER = shlex.quote(sys.executable)

# Threads do not make a network as small as this one faster.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": 1, "EPOCHS": 12}
COMMON = {"project_id": "prdemo", "workspace_url": str(ROOT / "examples" / "digits")}

ONE_NODE = {
    **COMMON,
    "name": "digits on one node",
    "command": f"{INTERPRETER} train.py",
    "container": "none",
    "machine_type": "local",
    "experiment_env": {**ENVIRONMENT, "PS_MODEL_PATH": str(MODELS / "one-node")},
}
THREE_NODES = {
    **COMMON,
    "name": "digits on three nodes",
    "experiment_type_id": "GRPC",
    "worker_command": f"{INTERPRETER} distributed.py",
    "worker_count": 2,
    "worker_container": "none",
    "worker_machine_type": "local",
    "parameter_server_command": f"{INTERPRETER} distributed.py",
    "parameter_server_count": 1,
    "parameter_server_container": "none",
    "parameter_server_machine_type": "local",
    "experiment_env": {
        **ENVIRONMENT,
        "EPOCHS": 8,
        "BATCH_SIZE": 32,
        "LEARNING_RATE": 0.2,
        "PS_MODEL_PATH": str(MODELS / "three-nodes"),
    },
}

BOLD, DIM, GREEN = "1", "2", "32"
COLORS_OF_JOBS = ("36", "33", "35")
NAME_OF_A_JOB = re.compile(r"(?:Worker|Parameter server) \d+")


def main() -> None:
    began = time.monotonic()
    # Models of earlier runs must not pass for those of this one.
    shutil.rmtree(MODELS, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix="gradient-demo-") as folder,
        LocalServer(runner=ProcessRunner(Path(folder) / "runs", slots=1, keep=False)) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
    ):
        print(f"While this demo runs, a local server executes commands on this machine: {server.url}")
        print(f"Look at it in a browser; the key is {server.api_key}")

        heading("One node learns to read handwritten digits: python train.py")
        alone = follow(client, client.run_single_node(**ONE_NODE))

        heading("Two workers and a parameter server learn it together: python distributed.py")
        together = follow(client, client.run_multi_node(**THREE_NODES))

    print()
    summary("One node", alone, MODELS / "one-node")
    summary("Three nodes", together, MODELS / "three-nodes")
    print(f"Done in {time.monotonic() - began:.0f} seconds. A server that stays: make serve ARGS='--runner process'")


def heading(text: str) -> None:
    print(f"\n{colored(text, BOLD)}", flush=True)


def follow(client: ExperimentsClient, experiment_id: str) -> float:
    """Print the rows of an experiment as they arrive, and return the last accuracy among them."""
    accuracy = 0.0
    names: dict[str, str] = {}
    for row in client.yield_logs(experiment_id, progress=can_show_progress()):
        if found := NAME_OF_A_JOB.match(row.message):
            names[row.job_id] = found[0].lower()
        if found := re.match(r"accuracy (\d\.\d+) ", row.message):
            accuracy = float(found[1])
        if row.line == 1:
            continue  # It says that the container and the machine type are not used.
        print(f"  {job(row.job_id, names)}{row.message.replace(f'{Path.cwd()}{os.sep}', '')}", flush=True)
    client.wait(experiment_id)  # raises an error with the reason if the experiment has failed
    return accuracy


def job(job_id: str, names: dict[str, str]) -> str:
    """Return the name of the job of a row, as the job calls itself; nothing if there is only one."""
    if not names:
        return ""
    color = COLORS_OF_JOBS[list(names).index(job_id) % len(COLORS_OF_JOBS)] if job_id in names else DIM
    return colored(f"{names.get(job_id, job_id):<20}", color)


def summary(what: str, accuracy: float, folder: Path) -> None:
    model = folder / "digits.npz"
    if not model.is_file():
        sys.exit(f"{what}: there is no model in {os.path.relpath(folder)}.")
    if accuracy <= ENOUGH:
        sys.exit(f"{what}: {accuracy:.1%} of the images of the test are read right; more than {ENOUGH:.0%} should be.")
    print(f"{what:<12}{colored(f'{accuracy:.1%} right', GREEN)}, the model is in {os.path.relpath(model)}")


def can_show_progress() -> bool:
    """Whether a live line can be shown while the program waits for rows."""
    return sys.stderr.isatty() and importlib.util.find_spec("rich") is not None


def colored(text: str, code: str) -> str:
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{code}m{text}\x1b[0m" if wanted else text


if __name__ == "__main__":
    # SIGTERM ends it like Ctrl-C, so that its processes end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted; the server and all that it ran have stopped.", file=sys.stderr)
        sys.exit(130)
    except GradientSdkError as error:
        sys.exit(f"\n{error}")
