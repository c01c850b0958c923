# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from enum import IntEnum


class MultiNodeRequestExperimentTypeId(IntEnum):
    GRPC_MULTI_NODE = 2
    MPI_MULTI_NODE = 3

    def __str__(self) -> str:
        return str(self.value)
