"""The client of experiments."""

from gradient import ExperimentsClient

__all__ = ["ExperimentsClient"]
