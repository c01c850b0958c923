"""The clients."""

from gradient import ExperimentsClient, ProjectsClient, SdkClient

__all__ = ["ExperimentsClient", "ProjectsClient", "SdkClient"]
