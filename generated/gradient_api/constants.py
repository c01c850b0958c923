# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""Names and words for the numbers of the API, and the few other values that its clients share."""

from typing import Final

EXPERIMENTS_URL: Final = "https://services.paperspace.io/experiments/v1"
"""Where the experiments of the hosted service were."""
LOGS_URL: Final = "https://logs.paperspace.io"
"""Where the logs of the hosted service were."""
API_URL: Final = "https://api.paperspace.io"
"""Where the projects of the hosted service were."""
API_KEY_HEADER: Final = "X-API-Key"
"""The header that carries the API key."""
END_OF_LOG: Final = "PSEOF"
"""The message of the row that ends the log of a job."""
MAX_WORKSPACE_BYTES: Final = 4294967296
"""The most bytes of a workspace that is uploaded."""
MAX_WORKSPACE_FILES: Final = 200000
"""The most files, links and folders of a workspace that is uploaded."""
MAX_PART_BYTES: Final = 8388608
"""The most bytes of a part of a workspace."""
TERMINAL_STATES: Final = frozenset((5, 6, 7, 8))
"""The states in which an experiment has ended."""


class ExperimentState:
    """How far an experiment has come. It goes through created, pending, provisioning, provisioned, network setting
    up, network setup, running, network tearing down and network teardown, and ends as stopped (exit code 0),
    failed (another exit code), error (it could not be set up or run) or canceled (stopped by hand).

    >>> ExperimentState.CREATED, ExperimentState.get_state_str(ExperimentState.CREATED)
    (1, 'created')
    """

    CREATED = 1
    PROVISIONED = 2
    NETWORK_SETUP = 3
    RUNNING = 4
    STOPPED = 5
    ERROR = 6
    FAILED = 7
    CANCELLED = 8
    NETWORK_TEARDOWN = 9
    PENDING = 10
    PROVISIONING = 11
    NETWORK_SETTING_UP = 12
    NETWORK_TEARING_DOWN = 13

    @classmethod
    def get_state_str(cls, state_int: int | None) -> str:
        """Return the word for a number; `undefined` for a number that has none.

        >>> ExperimentState.get_state_str(1)
        'created'

        :param int state_int: a number, say of the state of an experiment

        :returns: its word, `created` for 1
        :rtype: str
        """
        return _EXPERIMENT_STATE_TEXTS.get(state_int, "undefined")


_EXPERIMENT_STATE_TEXTS: dict[int | None, str] = {
    1: "created",
    2: "provisioned",
    3: "network setup",
    4: "running",
    5: "stopped",
    6: "error",
    7: "failed",
    8: "canceled",
    9: "network teardown",
    10: "pending",
    11: "provisioning",
    12: "network setting up",
    13: "network tearing down",
}


class ExperimentType:
    """The kind of an experiment, which says what parameters it has.

    >>> ExperimentType.SINGLE_NODE, ExperimentType.get_type_str(ExperimentType.SINGLE_NODE)
    (1, 'single node')
    """

    SINGLE_NODE = 1
    GRPC_MULTI_NODE = 2
    MPI_MULTI_NODE = 3
    HYPERPARAMETER_TUNING = 4

    @classmethod
    def get_type_str(cls, type_int: int | None) -> str:
        """Return the word for a number; `undefined` for a number that has none.

        >>> ExperimentType.get_type_str(1)
        'single node'

        :param int type_int: a number, say of the type of an experiment

        :returns: its word, `single node` for 1
        :rtype: str
        """
        return _EXPERIMENT_TYPE_TEXTS.get(type_int, "undefined")


_EXPERIMENT_TYPE_TEXTS: dict[int | None, str] = {
    1: "single node",
    2: "GRPC multi node",
    3: "MPI multi node",
    4: "Hyperparameter tuning",
}
