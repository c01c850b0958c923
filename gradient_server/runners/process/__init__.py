"""Runs whose commands are processes of this machine.

Each run has a supervisor: a process that outlives the server and writes what happens to files. The server reads them.
"""

from gradient_server.runners.process.runner import ProcessRunner

__all__ = ["ProcessRunner"]
