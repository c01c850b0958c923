"""Runs on a Ray cluster, which the server reaches by the HTTP APIs of its dashboard: no Ray is needed here.

Each run is one Ray job. Its driver is the supervisor of the run: it asks Ray for machines, has an agent started on
each, and writes what happens to files in the folder of Ray's logs. The server copies these files as they grow.
"""

from gradient_server.runners.ray.runner import RayRunner

__all__ = ["RayRunner"]
