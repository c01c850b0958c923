"""The methods of the client, and the operations of the contract that each of them is for."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from gradient import ExperimentsClient, LogsInterruptedError, ProjectsClient
from judging.keywords import everything
from tests.conftest import METHODS, PROJECT_METHODS

CREATES = {
    "create_single_node": ("createExperiment", "SingleNodeRequest"),
    "run_single_node": ("runExperiment", "SingleNodeRequest"),
    "create_multi_node": ("createExperiment", "MultiNodeRequest"),
    "run_multi_node": ("runExperiment", "MultiNodeRequest"),
}
"""The operation and the kind of body of those that take keywords."""
NAMES_ONE = {
    "start": ["startExperiment"],
    "stop": ["stopExperiment"],
    "delete": ["deleteExperiment"],
    "get": ["getExperiment"],
    "state": ["getExperimentState"],
    "wait_for_removal": ["getRemoval"],
}
"""The operations, in order, of those that take an experiment and nothing else."""
READS_LOGS = {"logs": ["getLogs"], "get_logs": ["getLogs"], "yield_logs": ["getExperiment", "getLogs"]}
"""The operations, in order, of those that take an experiment, a line and a limit."""
READS_METRICS = {"metrics": ["getMetrics"], "stream_metrics": ["getMetrics"]}
"""The operations, in order, of those that take an experiment and names of metrics."""
READS_ARTIFACTS = {"artifacts": ["listArtifacts"]}
"""The operations of those that take an experiment and a pattern."""
LISTS = {"list": ["listExperiments"], "iter_experiments": ["listExperiments"]}
WAITS = {"wait": ["getExperimentState", "getExperiment"]}
"""The operations, in order, of those that ask until an experiment has ended."""
UPLOADS = {"upload_workspace": ["findMissingParts", "uploadPart", "createWorkspace"]}
"""The operations, in order, of those that upload a workspace."""
ADDED_BY_THE_CLIENT = {"Idempotency-Key", "known", "wait"}
"""The parameters of the contract that no caller gives."""

TAGS = {
    "add_tags": ["getTags", "updateTags"],
    "remove_tags": ["getTags"],
    "list_tags": ["getTags"],
    "set_note": ["setNote"],
}
"""The operations, in order, of those that are about tags and notes."""

PROJECTS = {"projects.create": "createProject", "projects.list": "listProjects", "projects.delete": "deleteProject"}
"""The operations of the methods of the client of projects."""

ARGUMENTS = METHODS | {method: everything(request).keywords for method, (_, request) in CREATES.items()}
ARGUMENTS |= {f"projects.{method}": keywords for method, keywords in PROJECT_METHODS.items()}
"""How each of them can be called, with everything that it takes."""

ANSWERED = [(method, operation) for method, (operation, _) in CREATES.items()]
_READS = NAMES_ONE | READS_LOGS | READS_METRICS | READS_ARTIFACTS | LISTS | TAGS | UPLOADS
ANSWERED += [(method, one) for method, each in _READS.items() for one in each]
AS_ANOTHER = (("get_logs", "getLogs"), ("remove_tags", "getTags"), ("stream_metrics", "getMetrics"))
ANSWERED = [case for case in ANSWERED if case not in AS_ANOTHER]
ANSWERED += [("wait", "getExperiment"), ("rerun", "runExperiment"), *PROJECTS.items()]
ANSWERED += [("storage", "listStorage"), ("download", "getArtifactContent")]
"""Each method with each operation that answers it.

`get_logs` is `logs` by another name, `remove_tags` reads tags as `add_tags` does, and `wait` reads a state as `state`
does, but may do so for ever. `projects.get` looks for one project in what `projects.list` reads.
"""


READ_AGAIN = ("getArtifactContent", 409)
"""The operation and the status after which the client reads the list again, for some times."""


def call(client: ExperimentsClient, projects: ProjectsClient, method: str) -> Any:
    """Call a method, and if it follows something, follow that to the end, or for so long that it has none."""
    owner, _, name = method.rpartition(".")
    answer = getattr(projects if owner else client, name)(**ARGUMENTS[method])
    if not isinstance(answer, Iterator):
        return answer
    try:
        return list(islice(answer, 50))
    except LogsInterruptedError as interrupted:
        # What is looked for is what the client makes of the answer, not what following makes of it.
        raise interrupted.error or interrupted from None
