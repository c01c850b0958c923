# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.new_workspace import NewWorkspace
from ...models.workspace_answer import WorkspaceAnswer
from ...types import Response


def _get_kwargs(
    digest: str,
    *,
    body: NewWorkspace,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/workspaces/{digest}/".format(
            digest=quote(str(digest), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | WorkspaceAnswer | None:
    if response.status_code == 200:
        response_200 = WorkspaceAnswer.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 403:
        response_403 = ErrorBody.from_dict(response.json())

        return response_403

    if response.status_code == 409:
        response_409 = ErrorBody.from_dict(response.json())

        return response_409

    if response.status_code == 413:
        response_413 = ErrorBody.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = ErrorBody.from_dict(response.json())

        return response_415

    if response.status_code == 507:
        response_507 = ErrorBody.from_dict(response.json())

        return response_507

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorBody | WorkspaceAnswer]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    digest: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewWorkspace,
) -> Response[ErrorBody | WorkspaceAnswer]:
    """Make a workspace of parts that were uploaded.

     The parts, one after the other, are a zip file or a tar file, which may be compressed. An experiment
    whose `workspaceUrl` is the URL in the answer gets what is in it. The server keeps a workspace for
    as long as an experiment has it, and for a day after it was last made.

    Args:
        digest (str):
        body (NewWorkspace): A workspace of parts that were uploaded.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | WorkspaceAnswer]
    """

    kwargs = _get_kwargs(
        digest=digest,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    digest: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewWorkspace,
) -> ErrorBody | WorkspaceAnswer | None:
    """Make a workspace of parts that were uploaded.

     The parts, one after the other, are a zip file or a tar file, which may be compressed. An experiment
    whose `workspaceUrl` is the URL in the answer gets what is in it. The server keeps a workspace for
    as long as an experiment has it, and for a day after it was last made.

    Args:
        digest (str):
        body (NewWorkspace): A workspace of parts that were uploaded.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | WorkspaceAnswer
    """

    return sync_detailed(
        digest=digest,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    digest: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewWorkspace,
) -> Response[ErrorBody | WorkspaceAnswer]:
    """Make a workspace of parts that were uploaded.

     The parts, one after the other, are a zip file or a tar file, which may be compressed. An experiment
    whose `workspaceUrl` is the URL in the answer gets what is in it. The server keeps a workspace for
    as long as an experiment has it, and for a day after it was last made.

    Args:
        digest (str):
        body (NewWorkspace): A workspace of parts that were uploaded.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | WorkspaceAnswer]
    """

    kwargs = _get_kwargs(
        digest=digest,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    digest: str,
    *,
    client: AuthenticatedClient | Client,
    body: NewWorkspace,
) -> ErrorBody | WorkspaceAnswer | None:
    """Make a workspace of parts that were uploaded.

     The parts, one after the other, are a zip file or a tar file, which may be compressed. An experiment
    whose `workspaceUrl` is the URL in the answer gets what is in it. The server keeps a workspace for
    as long as an experiment has it, and for a day after it was last made.

    Args:
        digest (str):
        body (NewWorkspace): A workspace of parts that were uploaded.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | WorkspaceAnswer
    """

    return (
        await asyncio_detailed(
            digest=digest,
            client=client,
            body=body,
        )
    ).parsed
