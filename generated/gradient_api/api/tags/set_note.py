# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.done import Done
from ...models.error_body import ErrorBody
from ...models.note_update import NoteUpdate
from ...types import UNSET, Response, Unset


def _get_kwargs(
    handle: str,
    *,
    body: NoteUpdate,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/experiments/{handle}/note/".format(
            handle=quote(str(handle), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Done | ErrorBody | None:
    if response.status_code == 200:
        response_200 = Done.from_dict(response.json())

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

    if response.status_code == 413:
        response_413 = ErrorBody.from_dict(response.json())

        return response_413

    if response.status_code == 415:
        response_415 = ErrorBody.from_dict(response.json())

        return response_415

    if response.status_code == 422:
        response_422 = ErrorBody.from_dict(response.json())

        return response_422

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Done | ErrorBody]:
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
    body: NoteUpdate,
    idempotency_key: str | Unset = UNSET,
) -> Response[Done | ErrorBody]:
    """Replace or remove the note of an experiment, whatever its state is.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        idempotency_key (str | Unset):
        body (NoteUpdate): The note of an experiment.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Done | ErrorBody]
    """

    kwargs = _get_kwargs(
        handle=handle,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    body: NoteUpdate,
    idempotency_key: str | Unset = UNSET,
) -> Done | ErrorBody | None:
    """Replace or remove the note of an experiment, whatever its state is.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        idempotency_key (str | Unset):
        body (NoteUpdate): The note of an experiment.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Done | ErrorBody
    """

    return sync_detailed(
        handle=handle,
        client=client,
        body=body,
        idempotency_key=idempotency_key,
    ).parsed


async def asyncio_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    body: NoteUpdate,
    idempotency_key: str | Unset = UNSET,
) -> Response[Done | ErrorBody]:
    """Replace or remove the note of an experiment, whatever its state is.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        idempotency_key (str | Unset):
        body (NoteUpdate): The note of an experiment.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Done | ErrorBody]
    """

    kwargs = _get_kwargs(
        handle=handle,
        body=body,
        idempotency_key=idempotency_key,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    body: NoteUpdate,
    idempotency_key: str | Unset = UNSET,
) -> Done | ErrorBody | None:
    """Replace or remove the note of an experiment, whatever its state is.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        idempotency_key (str | Unset):
        body (NoteUpdate): The note of an experiment.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Done | ErrorBody
    """

    return (
        await asyncio_detailed(
            handle=handle,
            client=client,
            body=body,
            idempotency_key=idempotency_key,
        )
    ).parsed
