"""Runs that are jobs of Slurm.

Each run has a directory on a file system that the machines of the cluster share. A batch job starts its supervisor
there, and the server follows the files, as it does on its own machine.
"""

from gradient_server.runners.slurm.runner import SlurmRunner

__all__ = ["SlurmRunner"]
