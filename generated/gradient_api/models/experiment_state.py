# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from enum import IntEnum


class ExperimentState(IntEnum):
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

    def __str__(self) -> str:
        return str(self.value)
