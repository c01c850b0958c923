# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from enum import StrEnum


class Entity(StrEnum):
    EXPERIMENT = "experiment"
    PROJECT = "project"

    def __str__(self) -> str:
        return str(self.value)
