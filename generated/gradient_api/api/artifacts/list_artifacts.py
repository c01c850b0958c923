# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.artifact_page import ArtifactPage
from ...models.error_body import ErrorBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    handle: str,
    *,
    after: str | Unset = UNSET,
    limit: int | Unset = 1000,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["after"] = after

    params["limit"] = limit

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiments/{handle}/artifacts/".format(
            handle=quote(str(handle), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ArtifactPage | ErrorBody | None:
    if response.status_code == 200:
        response_200 = ArtifactPage.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 403:
        response_403 = ErrorBody.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = ErrorBody.from_dict(response.json())

        return response_404

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ArtifactPage | ErrorBody]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    after: str | Unset = UNSET,
    limit: int | Unset = 1000,
) -> Response[ArtifactPage | ErrorBody]:
    """List the artifacts of an experiment, the files that it writes, ordered by the parts of their names.

     Those of its artifact directory have names that begin with `artifacts/`, those of its model path
    with `model/`. The next page is after the last name of this one; the last page is shorter than the
    limit.

    Args:
        handle (str):
        after (str | Unset):
        limit (int | Unset):  Default: 1000.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ArtifactPage | ErrorBody]
    """

    kwargs = _get_kwargs(
        handle=handle,
        after=after,
        limit=limit,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    after: str | Unset = UNSET,
    limit: int | Unset = 1000,
) -> ArtifactPage | ErrorBody | None:
    """List the artifacts of an experiment, the files that it writes, ordered by the parts of their names.

     Those of its artifact directory have names that begin with `artifacts/`, those of its model path
    with `model/`. The next page is after the last name of this one; the last page is shorter than the
    limit.

    Args:
        handle (str):
        after (str | Unset):
        limit (int | Unset):  Default: 1000.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ArtifactPage | ErrorBody
    """

    return sync_detailed(
        handle=handle,
        client=client,
        after=after,
        limit=limit,
    ).parsed


async def asyncio_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    after: str | Unset = UNSET,
    limit: int | Unset = 1000,
) -> Response[ArtifactPage | ErrorBody]:
    """List the artifacts of an experiment, the files that it writes, ordered by the parts of their names.

     Those of its artifact directory have names that begin with `artifacts/`, those of its model path
    with `model/`. The next page is after the last name of this one; the last page is shorter than the
    limit.

    Args:
        handle (str):
        after (str | Unset):
        limit (int | Unset):  Default: 1000.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ArtifactPage | ErrorBody]
    """

    kwargs = _get_kwargs(
        handle=handle,
        after=after,
        limit=limit,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    after: str | Unset = UNSET,
    limit: int | Unset = 1000,
) -> ArtifactPage | ErrorBody | None:
    """List the artifacts of an experiment, the files that it writes, ordered by the parts of their names.

     Those of its artifact directory have names that begin with `artifacts/`, those of its model path
    with `model/`. The next page is after the last name of this one; the last page is shorter than the
    limit.

    Args:
        handle (str):
        after (str | Unset):
        limit (int | Unset):  Default: 1000.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ArtifactPage | ErrorBody
    """

    return (
        await asyncio_detailed(
            handle=handle,
            client=client,
            after=after,
            limit=limit,
        )
    ).parsed
