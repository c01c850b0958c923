"""The methods of the client, and the operations of the contract that each of them is for."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from gradient import ExperimentsClient
from judging.keywords import everything

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
}
"""The operations, in order, of those that take an experiment and nothing else."""
READS_LOGS = {"logs": ["getLogs"], "get_logs": ["getLogs"], "yield_logs": ["getExperiment", "getLogs"]}
"""The operations, in order, of those that take an experiment, a line and a limit."""
LISTS = {"list": ["listExperiments"]}

NOT_USED_YET = {
    "Idempotency-Key": "the contract declares it for the retries that the client is to have; it repeats nothing yet",
    "wait": "the contract declares it for long polling; the client asks again after a pause so far",
}
"""The parameters of the contract that no method sends, and why."""

ARGUMENTS = {method: (["es1"], {}) for method in (*NAMES_ONE, *READS_LOGS)}
ARGUMENTS |= {method: ([], everything(request).keywords) for method, (_, request) in CREATES.items()}
ARGUMENTS |= {method: ([["p1", "p2"]], {"limit": 100, "offset": 1}) for method in LISTS}
"""How each of them can be called, with everything that it takes."""

ANSWERED = [(method, operation) for method, (operation, _) in CREATES.items()]
ANSWERED += [(method, one) for method, each in (NAMES_ONE | READS_LOGS | LISTS).items() for one in each]
ANSWERED.remove(("get_logs", "getLogs"))
"""Each method with each operation that answers it; `get_logs` is `logs` by another name."""


def call(client: ExperimentsClient, method: str) -> Any:
    """Call a method, and if it follows something, follow that to the end, or for so long that it has none."""
    positional, keywords = ARGUMENTS[method]
    answer = getattr(client, method)(*positional, **keywords)
    return list(islice(answer, 50)) if isinstance(answer, Iterator) else answer
