# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from enum import IntEnum


class ExperimentType(IntEnum):
    SINGLE_NODE = 1
    GRPC_MULTI_NODE = 2
    MPI_MULTI_NODE = 3
    HYPERPARAMETER_TUNING = 4

    def __str__(self) -> str:
        return str(self.value)
