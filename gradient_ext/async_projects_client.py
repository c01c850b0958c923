"""The client of projects.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradient_api.parameters import PROJECT_PARAMETERS

from gradient_ext import LazyModule, config, public
from gradient_ext.async_base_client import AsyncBaseClient
from gradient_ext.async_tags import AsyncTags
from gradient_ext.errors import ResourceCreatingError
from gradient_ext.parameters import checked_handle, checked_project, checked_tags, request_model

if TYPE_CHECKING:
    import httpx
    from gradient_api.api import projects as projects_api

    import gradient
    from gradient_ext import projects
else:
    # Annotations name what is imported later, so that it can be found when they are evaluated.
    gradient, httpx, projects_api, projects = map(
        LazyModule, ("gradient", "httpx", "gradient_api.api.projects", "gradient_ext.projects")
    )


@public
class AsyncProjectsClient(AsyncBaseClient):
    """Create, list, inspect and delete projects, which group experiments.

    What is not given comes from the environment, then from `~/.paperspace/config.json`, then from a running server of
    this user: `gradient server start` starts one. A client keeps its connections open; close it, or use it in an
    `async with` statement.

    >>> async with AsyncProjectsClient("a key", api_url="http://localhost:8090") as projects:
    ...     projects
    AsyncProjectsClient(api_url='http://localhost:8090')

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str api_url: address of the projects; default: `PAPERSPACE_CONFIG_HOST`, then `apiUrl` in the configuration
        file, then that of the experiments, as :class:`AsyncExperimentsClient` finds it
    :param float timeout: seconds to wait for each part of an answer; default: 30. None waits for ever.
    :param float connect_timeout: seconds to wait for a connection, if that is shorter; default: 5
    :param int max_attempts: the most attempts of a call that fails transiently, the first one included; default: 10
    :param float deadline: seconds for all attempts of one call together; default: 120. None: no limit.
    :param httpx.AsyncClient http_client: an httpx client to send everything through, with its proxies, certificates and
        limits; closing it stays with you

    :raises ConfigurationError: there is no key, an address is none, the configuration file is broken, or
        the http_client is no httpx.AsyncClient

    Every method raises :class:`GradientSdkError` or one of its subclasses when something goes wrong.
    """

    _addresses = {"api_url": "api_url"}  # noqa: RUF012 - as declared in the base class

    def __init__(
        self,
        api_key: str | None = None,
        *,
        api_url: str | None = None,
        timeout: float | None = config.TIMEOUT,
        connect_timeout: float | None = config.CONNECT_TIMEOUT,
        max_attempts: int = config.MAX_ATTEMPTS,
        deadline: float | None = config.DEADLINE,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        api_key = config.as_secret(api_key)
        options = config.changed_options(
            config.Options(),
            {
                "timeout": timeout,
                "connect_timeout": connect_timeout,
                "max_attempts": max_attempts,
                "deadline": deadline,
            },
            "AsyncProjectsClient()",
        )
        super().__init__(
            config.load_configuration(api_key, api_url=api_url, needed=self._addresses), options, http_client
        )

    async def create(
        self,
        name: str,
        repository_name: str | None = None,
        repository_url: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> str:
        """Create a project.

        >>> project_id = await projects.create("mnist")
        >>> (await projects.get(project_id)).name
        'mnist'

        :param str name: name of the project
        :param str repository_name: name of the repository
        :param str repository_url: URL of the repository
        :param tags: tags of the project, a list or tuple of str

        :returns: id of the project, the `project_id` of its experiments
        :rtype: str

        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        given: dict[str, Any] = {
            "name": name,
            "repository_name": repository_name,
            "repository_url": repository_url,
            "tags": tags,
        }
        body = request_model(PROJECT_PARAMETERS, given, "create()")
        key = str(uuid.uuid4())
        project = await self._transport.call(
            lambda client: projects_api.create_project.asyncio_detailed(client=client, body=body, idempotency_key=key),
            projects.project_from,
            action="Failed to create resource",
            base_url=self._configuration.api_url,
            malformed=ResourceCreatingError,
        )
        if body.tags and project.tags is None:
            # The historical service took tags in a request of their own.
            await self._tags.write(project.id, body.tags, action=f"{project.id} was created, but its tags were not set")
        return project.id

    async def list(self, tags: str | Sequence[str] | None = None) -> gradient.ProjectList:
        """Return all projects, newest first: those that were created, and those that experiments name.

        >>> project_id = await projects.create("mnist")
        >>> [project.name for project in await projects.list()]
        ['mnist']

        :param tags: only projects with this tag, or with any of these: a str, or a list or tuple of str

        :returns: the projects, in a list that is shown as a table in a notebook
        :rtype: ProjectList of Project
        """
        cursor = projects.ProjectCursor(checked_tags(tags, "list()"))
        found = projects.ProjectList()
        while not cursor.finished:
            found += await self._transport.call(
                lambda client: projects_api.list_projects.asyncio_detailed(
                    client=client, filter_=cursor.filter, tag_filter=cursor.tag_filter
                ),
                cursor.take,
                base_url=self._configuration.api_url,
            )
        return found

    async def get(self, project_id: str) -> gradient.Project:
        """Return one project.

        >>> project_id = await projects.create("mnist", repository_name="mnist-sample")
        >>> project = await projects.get(project_id)
        >>> project.name, project.repository_name
        ('mnist', 'mnist-sample')

        :param str project_id: Project ID

        :returns: the project
        :rtype: Project

        :raises NotFoundError: there is no such project
        """
        handle = checked_project(project_id, "get()")
        url = self._configuration.api_url
        return await self._transport.call(
            lambda client: projects_api.list_projects.asyncio_detailed(
                client=client, filter_=projects.filter_of(handle)
            ),
            lambda page: projects.one_of(page, handle, url),
            base_url=url,
        )

    async def add_tags(self, entity_id: str, tags: str | Sequence[str]) -> None:
        """Add tags to a project; those that it has already stay as they are.

        >>> project_id = await projects.create("mnist")
        >>> await projects.add_tags(project_id, ["baseline", "batch 64"])
        >>> (await projects.get(project_id)).tags
        ['baseline', 'batch 64']

        :param str entity_id: Project ID
        :param tags: a tag, or a list or tuple of tags; each of up to 100 characters, and up to 100 of them

        :raises InvalidParametersError: a tag is empty, too long or has control characters; nothing has been sent
        :raises ResourceFetchingError: there is no such project (status 404), or it would have too many tags (400)
        """
        handle = checked_project(entity_id, "add_tags()", name="entity_id")
        added = checked_tags(tags, "add_tags()") or ()
        await self._tags.change(handle, lambda known: [*dict.fromkeys((*known, *added))])

    async def remove_tags(self, entity_id: str, tags: str | Sequence[str]) -> None:
        """Remove tags from a project; those that it does not have are ignored.

        >>> project_id = await projects.create("mnist", tags=["baseline"])
        >>> await projects.remove_tags(project_id, "baseline")

        :param str entity_id: Project ID
        :param tags: a tag, or a list or tuple of tags

        :raises ResourceFetchingError: there is no such project (status 404)
        """
        handle = checked_project(entity_id, "remove_tags()", name="entity_id")
        removed = checked_tags(tags, "remove_tags()") or ()
        await self._tags.change(handle, lambda known: [tag for tag in known if tag not in removed])

    async def list_tags(self, entity_ids: Sequence[str]) -> builtins.list[dict[str, builtins.list[str]]]:
        """Return the tags of projects, in the form that earlier clients returned.

        >>> project_id = await projects.create("mnist", tags=["baseline"])
        >>> await projects.list_tags([project_id]) == [{project_id: ["baseline"]}]
        True

        :param entity_ids: Project IDs: a list or tuple of str

        :returns: for each project a dictionary with its id and its tags
        :rtype: list of dict

        :raises ResourceFetchingError: there is no such project (status 404)
        """
        given = [entity_ids] if isinstance(entity_ids, str) else entity_ids
        found = await self._tags.read([checked_project(each, "list_tags()", name="entity_ids") for each in given])
        return [{handle: names} for handle, names in found.items()]

    async def delete(self, project_id: str) -> None:
        """Delete a project that has no experiments.

        >>> project_id = await projects.create("mnist")
        >>> await projects.delete(project_id)

        :param str project_id: Project ID

        :raises ConflictError: it has experiments; delete them first
        :raises ResourceFetchingError: there is no such project (status 404), or it has been deleted before (400)
        """
        handle = checked_handle(project_id, "delete()", name="project_id")
        key = str(uuid.uuid4())
        await self._transport.call(
            lambda client: projects_api.delete_project.asyncio_detailed(handle, client=client, idempotency_key=key),
            lambda answer: None,
            action="Failed to delete resource",
            base_url=self._configuration.api_url,
        )

    @property
    def _tags(self) -> AsyncTags:
        return AsyncTags(self._transport, self._configuration.api_url, "project")
