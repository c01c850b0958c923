# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.state_answer import StateAnswer
from ...types import UNSET, Response, Unset


def _get_kwargs(
    handle: str,
    *,
    wait: float | Unset = UNSET,
    known: int | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["wait"] = wait

    params["known"] = known

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiments/{handle}/state/".format(
            handle=quote(str(handle), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | StateAnswer | None:
    if response.status_code == 200:
        response_200 = StateAnswer.from_dict(response.json())

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
) -> Response[ErrorBody | StateAnswer]:
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
    wait: float | Unset = UNSET,
    known: int | Unset = UNSET,
) -> Response[ErrorBody | StateAnswer]:
    """Read the state of an experiment and nothing else.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        wait (float | Unset):
        known (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | StateAnswer]
    """

    kwargs = _get_kwargs(
        handle=handle,
        wait=wait,
        known=known,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    wait: float | Unset = UNSET,
    known: int | Unset = UNSET,
) -> ErrorBody | StateAnswer | None:
    """Read the state of an experiment and nothing else.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        wait (float | Unset):
        known (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | StateAnswer
    """

    return sync_detailed(
        handle=handle,
        client=client,
        wait=wait,
        known=known,
    ).parsed


async def asyncio_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    wait: float | Unset = UNSET,
    known: int | Unset = UNSET,
) -> Response[ErrorBody | StateAnswer]:
    """Read the state of an experiment and nothing else.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        wait (float | Unset):
        known (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | StateAnswer]
    """

    kwargs = _get_kwargs(
        handle=handle,
        wait=wait,
        known=known,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    wait: float | Unset = UNSET,
    known: int | Unset = UNSET,
) -> ErrorBody | StateAnswer | None:
    """Read the state of an experiment and nothing else.

     An extension; the historical service did not have it.

    Args:
        handle (str):
        wait (float | Unset):
        known (int | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | StateAnswer
    """

    return (
        await asyncio_detailed(
            handle=handle,
            client=client,
            wait=wait,
            known=known,
        )
    ).parsed
