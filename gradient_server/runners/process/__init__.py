"""Experiments that really run: their commands are processes of this machine.

Each has a supervisor, a process that outlives the server, and tells in files what happens; the server follows these.
"""

from gradient_server.runners.process.runner import ProcessRunner

__all__ = ["ProcessRunner"]
