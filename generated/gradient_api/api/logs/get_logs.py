# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any, cast

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_body import ErrorBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    experiment_id: str,
    line: int | Unset = 0,
    limit: int | Unset = 2000,
    wait: float | Unset = UNSET,
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    params["experimentId"] = experiment_id

    params["line"] = line

    params["limit"] = limit

    params["wait"] = wait

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/jobs/logs",
        "params": params,
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Any | ErrorBody | list[Any] | str | None:
    if response.status_code == 200:
        response_200 = cast(list[Any], response.json())

        return response_200

    if response.status_code == 204:
        response_204 = cast(Any, None)
        return response_204

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = response.text
        return response_401

    if response.status_code == 404:
        response_404 = ErrorBody.from_dict(response.json())

        return response_404

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Any | ErrorBody | list[Any] | str]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    experiment_id: str,
    line: int | Unset = 0,
    limit: int | Unset = 2000,
    wait: float | Unset = UNSET,
) -> Response[Any | ErrorBody | list[Any] | str]:
    """Read log rows of an experiment, ordered by line.

     Every job of an experiment numbers its rows from 1; the rows of all jobs come in one array. The last
    row of a job has the message `PSEOF`.

    Args:
        experiment_id (str):
        line (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 2000.
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | ErrorBody | list[Any] | str]
    """

    kwargs = _get_kwargs(
        experiment_id=experiment_id,
        line=line,
        limit=limit,
        wait=wait,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    experiment_id: str,
    line: int | Unset = 0,
    limit: int | Unset = 2000,
    wait: float | Unset = UNSET,
) -> Any | ErrorBody | list[Any] | str | None:
    """Read log rows of an experiment, ordered by line.

     Every job of an experiment numbers its rows from 1; the rows of all jobs come in one array. The last
    row of a job has the message `PSEOF`.

    Args:
        experiment_id (str):
        line (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 2000.
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | ErrorBody | list[Any] | str
    """

    return sync_detailed(
        client=client,
        experiment_id=experiment_id,
        line=line,
        limit=limit,
        wait=wait,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    experiment_id: str,
    line: int | Unset = 0,
    limit: int | Unset = 2000,
    wait: float | Unset = UNSET,
) -> Response[Any | ErrorBody | list[Any] | str]:
    """Read log rows of an experiment, ordered by line.

     Every job of an experiment numbers its rows from 1; the rows of all jobs come in one array. The last
    row of a job has the message `PSEOF`.

    Args:
        experiment_id (str):
        line (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 2000.
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | ErrorBody | list[Any] | str]
    """

    kwargs = _get_kwargs(
        experiment_id=experiment_id,
        line=line,
        limit=limit,
        wait=wait,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    experiment_id: str,
    line: int | Unset = 0,
    limit: int | Unset = 2000,
    wait: float | Unset = UNSET,
) -> Any | ErrorBody | list[Any] | str | None:
    """Read log rows of an experiment, ordered by line.

     Every job of an experiment numbers its rows from 1; the rows of all jobs come in one array. The last
    row of a job has the message `PSEOF`.

    Args:
        experiment_id (str):
        line (int | Unset):  Default: 0.
        limit (int | Unset):  Default: 2000.
        wait (float | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | ErrorBody | list[Any] | str
    """

    return (
        await asyncio_detailed(
            client=client,
            experiment_id=experiment_id,
            line=line,
            limit=limit,
            wait=wait,
        )
    ).parsed
