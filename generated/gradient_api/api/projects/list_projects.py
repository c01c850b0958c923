# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.project_list import ProjectList
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    filter_: str | Unset = UNSET,
    tag_filter: list[str] | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["filter"] = filter_

    json_tag_filter: list[str] | Unset = UNSET
    if not isinstance(tag_filter, Unset):
        json_tag_filter = tag_filter

    params["tagFilter"] = json_tag_filter

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/projects/",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | ProjectList | None:
    if response.status_code == 200:
        response_200 = ProjectList.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorBody.from_dict(response.json())

        return response_401

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | ProjectList]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    filter_: str | Unset = UNSET,
    tag_filter: list[str] | Unset = UNSET,
) -> Response[ErrorBody | ProjectList]:
    """List projects, newest first.

     Those that were created, and those that experiments name. One project is read by a filter with its
    handle.

    Args:
        filter_ (str | Unset):
        tag_filter (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | ProjectList]
    """

    kwargs = _get_kwargs(
        filter_=filter_,
        tag_filter=tag_filter,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    filter_: str | Unset = UNSET,
    tag_filter: list[str] | Unset = UNSET,
) -> ErrorBody | ProjectList | None:
    """List projects, newest first.

     Those that were created, and those that experiments name. One project is read by a filter with its
    handle.

    Args:
        filter_ (str | Unset):
        tag_filter (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | ProjectList
    """

    return sync_detailed(
        client=client,
        filter_=filter_,
        tag_filter=tag_filter,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    filter_: str | Unset = UNSET,
    tag_filter: list[str] | Unset = UNSET,
) -> Response[ErrorBody | ProjectList]:
    """List projects, newest first.

     Those that were created, and those that experiments name. One project is read by a filter with its
    handle.

    Args:
        filter_ (str | Unset):
        tag_filter (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | ProjectList]
    """

    kwargs = _get_kwargs(
        filter_=filter_,
        tag_filter=tag_filter,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    filter_: str | Unset = UNSET,
    tag_filter: list[str] | Unset = UNSET,
) -> ErrorBody | ProjectList | None:
    """List projects, newest first.

     Those that were created, and those that experiments name. One project is read by a filter with its
    handle.

    Args:
        filter_ (str | Unset):
        tag_filter (list[str] | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | ProjectList
    """

    return (
        await asyncio_detailed(
            client=client,
            filter_=filter_,
            tag_filter=tag_filter,
        )
    ).parsed
