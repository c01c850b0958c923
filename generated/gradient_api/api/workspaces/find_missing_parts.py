# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.missing_parts import MissingParts
from ...models.part_list import PartList
from ...types import Response


def _get_kwargs(
    *,
    body: PartList,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/workspaces/parts/",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | MissingParts | None:
    if response.status_code == 200:
        response_200 = MissingParts.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 403:
        response_403 = ErrorBody.from_dict(response.json())

        return response_403

    if response.status_code == 413:
        response_413 = ErrorBody.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = ErrorBody.from_dict(response.json())

        return response_415

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | MissingParts]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: PartList,
) -> Response[ErrorBody | MissingParts]:
    """Find out which parts of workspaces have to be uploaded.

     A workspace is an archive that is uploaded in parts, each of which is known by its SHA-256. What an
    earlier upload has in common with this one is not sent again, nor what arrived before an upload was
    interrupted. The server keeps parts for a day, also if no workspace has them yet.

    Args:
        body (PartList): Parts of workspaces.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | MissingParts]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: PartList,
) -> ErrorBody | MissingParts | None:
    """Find out which parts of workspaces have to be uploaded.

     A workspace is an archive that is uploaded in parts, each of which is known by its SHA-256. What an
    earlier upload has in common with this one is not sent again, nor what arrived before an upload was
    interrupted. The server keeps parts for a day, also if no workspace has them yet.

    Args:
        body (PartList): Parts of workspaces.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | MissingParts
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: PartList,
) -> Response[ErrorBody | MissingParts]:
    """Find out which parts of workspaces have to be uploaded.

     A workspace is an archive that is uploaded in parts, each of which is known by its SHA-256. What an
    earlier upload has in common with this one is not sent again, nor what arrived before an upload was
    interrupted. The server keeps parts for a day, also if no workspace has them yet.

    Args:
        body (PartList): Parts of workspaces.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | MissingParts]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: PartList,
) -> ErrorBody | MissingParts | None:
    """Find out which parts of workspaces have to be uploaded.

     A workspace is an archive that is uploaded in parts, each of which is known by its SHA-256. What an
    earlier upload has in common with this one is not sent again, nor what arrived before an upload was
    interrupted. The server keeps parts for a day, also if no workspace has them yet.

    Args:
        body (PartList): Parts of workspaces.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | MissingParts
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed
