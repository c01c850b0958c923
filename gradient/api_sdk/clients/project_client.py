"""The client of projects."""

from gradient import ProjectsClient

__all__ = ["ProjectsClient"]
