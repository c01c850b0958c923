# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.experiment_list import ExperimentList
from ...models.list_experiments_project_handle import ListExperimentsProjectHandle
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    project_handle: ListExperimentsProjectHandle | Unset = UNSET,
    tag: list[str] | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["offset"] = offset

    json_project_handle: dict[str, Any] | Unset = UNSET
    if not isinstance(project_handle, Unset):
        json_project_handle = project_handle.to_dict()
    if not isinstance(json_project_handle, Unset):
        params.update({f"projectHandle[{key}]": value for key, value in json_project_handle.items()})

    json_tag: list[str] | Unset = UNSET
    if not isinstance(tag, Unset):
        json_tag = tag

    params["tag"] = json_tag

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiments/",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | ExperimentList | None:
    if response.status_code == 200:
        response_200 = ExperimentList.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 403:
        response_403 = ErrorBody.from_dict(response.json())

        return response_403

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | ExperimentList]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    project_handle: ListExperimentsProjectHandle | Unset = UNSET,
    tag: list[str] | Unset = UNSET,
) -> Response[ErrorBody | ExperimentList]:
    """List experiments, newest first.

     Without a project filter `data` is a flat array of experiments. With one, `data` is an array of
    groups, one for each project asked for, in the order asked for.

    Args:
        limit (int | Unset):
        offset (int | Unset):
        project_handle (ListExperimentsProjectHandle | Unset):
        tag (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | ExperimentList]
    """

    kwargs = _get_kwargs(
        limit=limit,
        offset=offset,
        project_handle=project_handle,
        tag=tag,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    project_handle: ListExperimentsProjectHandle | Unset = UNSET,
    tag: list[str] | Unset = UNSET,
) -> ErrorBody | ExperimentList | None:
    """List experiments, newest first.

     Without a project filter `data` is a flat array of experiments. With one, `data` is an array of
    groups, one for each project asked for, in the order asked for.

    Args:
        limit (int | Unset):
        offset (int | Unset):
        project_handle (ListExperimentsProjectHandle | Unset):
        tag (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | ExperimentList
    """

    return sync_detailed(
        client=client,
        limit=limit,
        offset=offset,
        project_handle=project_handle,
        tag=tag,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    project_handle: ListExperimentsProjectHandle | Unset = UNSET,
    tag: list[str] | Unset = UNSET,
) -> Response[ErrorBody | ExperimentList]:
    """List experiments, newest first.

     Without a project filter `data` is a flat array of experiments. With one, `data` is an array of
    groups, one for each project asked for, in the order asked for.

    Args:
        limit (int | Unset):
        offset (int | Unset):
        project_handle (ListExperimentsProjectHandle | Unset):
        tag (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | ExperimentList]
    """

    kwargs = _get_kwargs(
        limit=limit,
        offset=offset,
        project_handle=project_handle,
        tag=tag,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    project_handle: ListExperimentsProjectHandle | Unset = UNSET,
    tag: list[str] | Unset = UNSET,
) -> ErrorBody | ExperimentList | None:
    """List experiments, newest first.

     Without a project filter `data` is a flat array of experiments. With one, `data` is an array of
    groups, one for each project asked for, in the order asked for.

    Args:
        limit (int | Unset):
        offset (int | Unset):
        project_handle (ListExperimentsProjectHandle | Unset):
        tag (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | ExperimentList
    """

    return (
        await asyncio_detailed(
            client=client,
            limit=limit,
            offset=offset,
            project_handle=project_handle,
            tag=tag,
        )
    ).parsed
