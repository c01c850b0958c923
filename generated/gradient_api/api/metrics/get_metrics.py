# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...models.metrics_answer import MetricsAnswer
from ...types import UNSET, Response, Unset


def _get_kwargs(
    handle: str,
    *,
    name: list[str] | Unset = UNSET,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    wait: float | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_name: list[str] | Unset = UNSET
    if not isinstance(name, Unset):
        json_name = name

    params["name"] = json_name

    params["limit"] = limit

    params["after"] = after

    params["wait"] = wait

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiments/{handle}/metrics/".format(
            handle=quote(str(handle), safe=""),
        ),
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorBody | MetricsAnswer | None:
    if response.status_code == 200:
        response_200 = MetricsAnswer.from_dict(response.json())

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
) -> Response[ErrorBody | MetricsAnswer]:
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
    name: list[str] | Unset = UNSET,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    wait: float | Unset = UNSET,
) -> Response[ErrorBody | MetricsAnswer]:
    """Read the metrics of an experiment.

     An extension; the historical service had metrics elsewhere. Without a cursor, all metrics are
    returned, thinned where they have more points than the limit: the first, the last, the lowest and
    the highest are kept. With a cursor, all points after it are, as far as they fit into one response,
    and the cursor to go on from.

    Args:
        handle (str):
        name (list[str] | Unset):
        limit (int | Unset):
        after (str | Unset):
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | MetricsAnswer]
    """

    kwargs = _get_kwargs(
        handle=handle,
        name=name,
        limit=limit,
        after=after,
        wait=wait,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    name: list[str] | Unset = UNSET,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    wait: float | Unset = UNSET,
) -> ErrorBody | MetricsAnswer | None:
    """Read the metrics of an experiment.

     An extension; the historical service had metrics elsewhere. Without a cursor, all metrics are
    returned, thinned where they have more points than the limit: the first, the last, the lowest and
    the highest are kept. With a cursor, all points after it are, as far as they fit into one response,
    and the cursor to go on from.

    Args:
        handle (str):
        name (list[str] | Unset):
        limit (int | Unset):
        after (str | Unset):
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | MetricsAnswer
    """

    return sync_detailed(
        handle=handle,
        client=client,
        name=name,
        limit=limit,
        after=after,
        wait=wait,
    ).parsed


async def asyncio_detailed(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    name: list[str] | Unset = UNSET,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    wait: float | Unset = UNSET,
) -> Response[ErrorBody | MetricsAnswer]:
    """Read the metrics of an experiment.

     An extension; the historical service had metrics elsewhere. Without a cursor, all metrics are
    returned, thinned where they have more points than the limit: the first, the last, the lowest and
    the highest are kept. With a cursor, all points after it are, as far as they fit into one response,
    and the cursor to go on from.

    Args:
        handle (str):
        name (list[str] | Unset):
        limit (int | Unset):
        after (str | Unset):
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorBody | MetricsAnswer]
    """

    kwargs = _get_kwargs(
        handle=handle,
        name=name,
        limit=limit,
        after=after,
        wait=wait,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    handle: str,
    *,
    client: AuthenticatedClient | Client,
    name: list[str] | Unset = UNSET,
    limit: int | Unset = UNSET,
    after: str | Unset = UNSET,
    wait: float | Unset = UNSET,
) -> ErrorBody | MetricsAnswer | None:
    """Read the metrics of an experiment.

     An extension; the historical service had metrics elsewhere. Without a cursor, all metrics are
    returned, thinned where they have more points than the limit: the first, the last, the lowest and
    the highest are kept. With a cursor, all points after it are, as far as they fit into one response,
    and the cursor to go on from.

    Args:
        handle (str):
        name (list[str] | Unset):
        limit (int | Unset):
        after (str | Unset):
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorBody | MetricsAnswer
    """

    return (
        await asyncio_detailed(
            handle=handle,
            client=client,
            name=name,
            limit=limit,
            after=after,
            wait=wait,
        )
    ).parsed
