"""Code of users that type checkers accept. It is checked by `test_user_code.py`, and never run."""

from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import assert_type

import httpx

from gradient import (
    Artifact,
    ArtifactList,
    AsyncExperimentsClient,
    AsyncProjectsClient,
    AuthenticationError,
    BaseExperiment,
    ConflictError,
    ExperimentFailedError,
    ExperimentsClient,
    GradientSdkError,
    InvalidParametersError,
    LogRow,
    LogsInterruptedError,
    LogsTimeoutError,
    MetricList,
    MetricPoint,
    MultiNodeExperiment,
    MultiNodeParameters,
    NotFoundError,
    Project,
    ProjectList,
    ProjectsClient,
    RateLimitError,
    Removal,
    RequestFailedError,
    RequestTimeoutError,
    ResourceFetchingError,
    SdkClient,
    SingleNodeExperiment,
    SingleNodeParameters,
    StateNotReachedError,
    StorageList,
    WaitTimeoutError,
    constants,
)

client = ExperimentsClient()
assert_type(client, ExperimentsClient)
ExperimentsClient(
    "a key",
    base_url="https://services.example.com",
    logs_url="https://logs.example.com",
    timeout=None,
    connect_timeout=2.5,
    max_attempts=3,
    deadline=60,
    patience=None,
    http_client=httpx.Client(),
)

single: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "machine_type": "K80",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "ports": 5000,
    "workspace_url": None,
    "experiment_env": {"EPOCHS": 10, "RATE": 0.1, "DEBUG": True, "NAME": "mnist", "NOTHING": None},
    "is_preemptible": True,
}
single["tags"] = ["baseline"]
single["note"] = "first try"
assert_type(client.create_single_node(**single), str)
client.add_tags("es1", ["baseline"])
client.remove_tags("es1", "baseline")
assert_type(client.list_tags(["es1"]), list[dict[str, list[str]]])
client.set_note("es1", None)
client.list(tags=("baseline", "best"))
client.iter_experiments(tags="best")
assert_type(client.get("es1").tags, list[str] | None)
assert_type(client.get("es1").note, str | None)
assert_type(client.run_single_node(**single), str)
single["ports"] = "5000:5000"
client.create_single_node(
    name="mnist",
    project_id="prlvf0u05",
    machine_type="K80",
    command="python mnist.py",
    container="tensorflow/tensorflow:1.13.1-gpu-py3",
    ports=None,
)

multi: MultiNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "experiment_type_id": constants.ExperimentType.GRPC_MULTI_NODE,
    "worker_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "worker_machine_type": "K80",
    "worker_command": "python mnist.py",
    "worker_count": 2,
    "parameter_server_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
}
assert_type(client.create_multi_node(**multi), str)
multi["experiment_type_id"] = "MPI"
handle = client.run_multi_node(**multi)
assert_type(handle, str)

assert_type(client.get(handle), BaseExperiment)
assert_type(client.state(handle), int)
assert_type(client.storage(), StorageList)
assert_type([entry.size for entry in client.storage()], list[int])
assert_type(client.storage().total, int)
assert_type(client.wait_for_removal(handle, timeout=None), Removal)
assert_type(constants.ExperimentState.get_state_str(client.state(handle)), str)
assert_type(constants.ExperimentType.get_type_str(constants.ExperimentType.SINGLE_NODE), str)
listed: list[BaseExperiment] = client.list()
client.list("prlvf0u05", limit=10, offset=20)
client.list(project_id=["prlvf0u05", "prqweasdz"])
client.start(handle)
client.stop(handle)
client.delete(handle)

rows: list[LogRow] = client.logs(handle, line=10, limit=100)
client.get_logs(handle)
assert_type(client.yield_logs(handle, 0, 1000, timeout=60), Generator[LogRow, None, None])
assert_type(client.metrics(handle, ["loss"], limit=10), MetricList)
value: float = client.metrics(handle, "loss")[0].values[-1]
assert_type(client.stream_metrics(handle, ("loss", "accuracy")), Generator[MetricPoint, None, None])
for row in client.yield_logs(handle):
    assert_type(row, LogRow)
    assert_type(row.line, int)
    assert_type(row.message, str)
    assert_type(row.timestamp, str)
    assert_type(row.job_id, str | None)
    line, message, timestamp = row


def say(state: int) -> None:
    """Print a state, as a callback for `on_state`."""
    print(constants.ExperimentState.get_state_str(state))


assert_type(client.wait(handle), BaseExperiment)
client.wait(handle, until="running", timeout=60, on_state=say)
seen: list[int] = []
client.wait(handle, until=constants.ExperimentState.RUNNING, raise_on_failure=False, on_state=seen.append)
client.wait(handle, until=["running", 5], progress=True)
assert_type(client.yield_logs(handle, progress=True), Generator[LogRow, None, None])
assert_type(client.with_options(timeout=300, connect_timeout=None, max_attempts=1), ExperimentsClient)
with ExperimentsClient() as short:
    assert_type(short, ExperimentsClient)
    assert_type(short.close(), None)

assert_type(client.iter_experiments("prlvf0u05", page_size=100), Generator[BaseExperiment, None, None])

experiment = client.get(handle)
assert_type(experiment.id, str)
assert_type(experiment.state, int)
assert_type(experiment.experiment_type_id, int)
assert_type(experiment.name, str | None)
assert_type(experiment.ports, str | None)
assert_type(experiment.experiment_env, dict[str, str | float | bool | None] | None)
assert_type(experiment.is_preemptible, bool | None)
assert_type(experiment.dt_started, str | None)
if isinstance(experiment, SingleNodeExperiment):
    assert_type(experiment.machine_type, str | None)
elif isinstance(experiment, MultiNodeExperiment):
    assert_type(experiment.worker_count, int | None)

try:
    client.start(handle)
except (AuthenticationError, NotFoundError, ConflictError, RateLimitError) as error:
    assert_type(error.status, int)
except ResourceFetchingError as error:
    assert_type(error.action, str)
    assert_type(error.method, str)
    assert_type(error.url, str)
    assert_type(error.words, tuple[str, ...])
    assert_type(error.message, str)
    assert_type(error.details, object)
    assert_type(error.request_id, str | None)
    assert_type(error.retry_after, float | None)
except RequestTimeoutError as error:
    assert_type(error.url, str)
except RequestFailedError as error:
    assert_type(error.method, str)
except InvalidParametersError as error:
    assert_type(error.subject, str)
    assert_type(error.problems, tuple[str, ...])
except ExperimentFailedError as error:
    assert_type(error.experiment, BaseExperiment)
    assert_type(error.experiment_id, str)
    assert_type(error.experiment_error, str | None)
    assert_type(error.state, int)
    assert_type(error.rows, tuple[LogRow, ...])
except WaitTimeoutError as error:
    assert_type(error.state, int | None)
    assert_type(error.timeout, float)
    assert_type(error.error, GradientSdkError | None)
except StateNotReachedError as error:
    assert_type(error.until, tuple[int, ...])
except LogsTimeoutError as error:
    assert_type(error.line, int)
except LogsInterruptedError as error:
    assert_type(error.reason, str)
except GradientSdkError as error:
    assert_type(error.retryable, bool)


async def main() -> None:
    """Use the asynchronous client."""
    async with AsyncExperimentsClient("a key", timeout=5, http_client=httpx.AsyncClient()) as client:
        assert_type(client, AsyncExperimentsClient)
        handle = await client.create_single_node(**single)
        assert_type(handle, str)
        assert_type(await client.run_single_node(**single), str)
        assert_type(await client.create_multi_node(**multi), str)
        assert_type(await client.run_multi_node(**multi), str)
        assert_type(await client.start(handle), None)
        assert_type(await client.get(handle), BaseExperiment)
        assert_type(await client.state(handle), int)
        listed: list[BaseExperiment] = await client.list(["prlvf0u05"], limit=5)
        rows: list[LogRow] = await client.logs(handle)
        assert_type(client.yield_logs(handle), AsyncGenerator[LogRow, None])
        assert_type(client.stream_metrics(handle), AsyncGenerator[MetricPoint, None])
        assert_type(await client.metrics(handle), MetricList)
        async for row in client.yield_logs(handle, timeout=60):
            assert_type(row, LogRow)
        async for experiment in client.iter_experiments():
            assert_type(experiment, BaseExperiment)
        assert_type(await client.wait(handle, until=["running", 5], progress=True), BaseExperiment)
        assert_type(client.with_options(patience=None), AsyncExperimentsClient)
        print(listed, rows)


projects = ProjectsClient("a key", api_url="https://api.example.com", timeout=None, max_attempts=3)
assert_type(projects.create("mnist", "mnist-sample", repository_url=None), str)
assert_type(projects.list(), ProjectList)
assert_type(projects.list()[0], Project)
assert_type(projects.get("prlvf0u05").repository_name, str | None)
assert_type(projects.with_options(deadline=None), ProjectsClient)
projects.delete("prlvf0u05")
assert_type(SdkClient("a key").experiments, ExperimentsClient)
assert_type(SdkClient().projects, ProjectsClient)


async def manage_projects(projects: AsyncProjectsClient) -> None:
    assert_type(await projects.create("mnist"), str)
    assert_type(await projects.list(), ProjectList)
    assert_type(await projects.get("prlvf0u05"), Project)
    await projects.delete("prlvf0u05")


assert_type(client.upload_workspace(Path("."), ignore_files="data,*.ckpt", progress=True), str)
workspace: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "p",
    "machine_type": "K80",
    "command": "python train.py",
    "container": "c",
    "workspace": Path("."),
    "ignore_files": ["data"],
}
client.run_single_node(**workspace)

found = client.artifacts("es1", "*.pt")
assert_type(found, ArtifactList)
assert_type(found[0], Artifact)
assert_type(found[0].size, int)
assert_type(client.download("es1", Path("results"), pattern="*.pt", progress=True), Sequence[Path])


async def download(client: AsyncExperimentsClient) -> None:
    assert_type(await client.artifacts("es1"), ArtifactList)
    assert_type(await client.download("es1", "results"), Sequence[Path])
