"""Names and words for the numbers of states and types. Both classes are written from the contract."""

from gradient_api.constants import ExperimentState, ExperimentType

__all__ = ["ExperimentState", "ExperimentType"]
