"""Simulated runs: nothing is executed. What a run does is a function of what it was asked to do, and of the time."""

from gradient_server.runners.simulated.runner import SimulatedRunner

__all__ = ["SimulatedRunner"]
