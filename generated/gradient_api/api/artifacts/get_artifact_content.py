# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...types import UNSET, File, Response, Unset


def _get_kwargs(
    handle: str,
    *,
    name: list[str],
    version: list[str] | Unset = UNSET,
    offset: int | Unset = 0,
    limit: int | Unset = 8388608,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_name = name

    params["name"] = json_name

    json_version: list[str] | Unset = UNSET
    if not isinstance(version, Unset):
        json_version = version

    params["version"] = json_version

    params["offset"] = offset

    params["limit"] = limit

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiments/{handle}/artifacts/content/".format(
            handle=quote(str(handle), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ErrorBody | File | None:
    if response.status_code == 200:
        response_200 = File(payload=BytesIO(response.content))

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

    if response.status_code == 409:
        response_409 = ErrorBody.from_dict(response.json())

        return response_409

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ErrorBody | File]:
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
    name: list[str],
    version: list[str] | Unset = UNSET,
    offset: int | Unset = 0,
    limit: int | Unset = 8388608,
) -> Response[ErrorBody | File]:
    """Read a part of the content of artifacts.

     The bytes of the named artifacts, one after the other, from an offset on: a range of a large one, or
    many small ones at once. `Content-Digest` has the SHA-256 of the part (RFC 9530).

    Args:
        handle (str):
        name (list[str]):
        version (list[str] | Unset):
        offset (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 8388608.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | File]
    """

    kwargs = _get_kwargs(
        handle=handle,
        name=name,
        version=version,
        offset=offset,
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
    name: list[str],
    version: list[str] | Unset = UNSET,
    offset: int | Unset = 0,
    limit: int | Unset = 8388608,
) -> ErrorBody | File | None:
    """Read a part of the content of artifacts.

     The bytes of the named artifacts, one after the other, from an offset on: a range of a large one, or
    many small ones at once. `Content-Digest` has the SHA-256 of the part (RFC 9530).

    Args:
        handle (str):
        name (list[str]):
        version (list[str] | Unset):
        offset (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 8388608.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | File
    """

    return sync_detailed(
        handle=handle,
        client=client,
        name=name,
        version=version,
        offset=offset,
        limit=limit,
    ).parsed


async def asyncio_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    name: list[str],
    version: list[str] | Unset = UNSET,
    offset: int | Unset = 0,
    limit: int | Unset = 8388608,
) -> Response[ErrorBody | File]:
    """Read a part of the content of artifacts.

     The bytes of the named artifacts, one after the other, from an offset on: a range of a large one, or
    many small ones at once. `Content-Digest` has the SHA-256 of the part (RFC 9530).

    Args:
        handle (str):
        name (list[str]):
        version (list[str] | Unset):
        offset (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 8388608.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | File]
    """

    kwargs = _get_kwargs(
        handle=handle,
        name=name,
        version=version,
        offset=offset,
        limit=limit,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    name: list[str],
    version: list[str] | Unset = UNSET,
    offset: int | Unset = 0,
    limit: int | Unset = 8388608,
) -> ErrorBody | File | None:
    """Read a part of the content of artifacts.

     The bytes of the named artifacts, one after the other, from an offset on: a range of a large one, or
    many small ones at once. `Content-Digest` has the SHA-256 of the part (RFC 9530).

    Args:
        handle (str):
        name (list[str]):
        version (list[str] | Unset):
        offset (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 8388608.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | File
    """

    return (
        await asyncio_detailed(
            handle=handle,
            client=client,
            name=name,
            version=version,
            offset=offset,
            limit=limit,
        )
    ).parsed
