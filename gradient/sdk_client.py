"""The client of everything, as old scripts have it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gradient_ext import public
from gradient_ext.client import ExperimentsClient
from gradient_ext.projects_client import ProjectsClient


@public
class SdkClient:
    """The clients of experiments and of projects, with one API key.

    >>> with SdkClient() as sdk:
    ...     project_id = sdk.projects.create("mnist")
    ...     sdk.experiments.list(project_id)
    []

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file

    :raises ConfigurationError: there is no key, an address is none, or the configuration file is broken
    """

    experiments: ExperimentsClient
    """The client of experiments."""
    projects: ProjectsClient
    """The client of projects."""

    def __init__(self, api_key: str | None = None) -> None:
        self.experiments = ExperimentsClient(api_key)
        self.projects = ProjectsClient(api_key)

    def close(self) -> None:
        """Close the connections of both clients; they cannot be used afterwards.

        >>> SdkClient("a key").close()
        """
        self.experiments.close()
        self.projects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
