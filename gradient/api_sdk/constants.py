"""Names and words for the numbers of states and types."""

from gradient.constants import ExperimentState, ExperimentType

__all__ = ["ExperimentState", "ExperimentType"]
