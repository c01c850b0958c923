# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.entity import Entity
from ...models.entity_tags import EntityTags
from ...models.error_body import ErrorBody
from ...types import UNSET, Response


def _get_kwargs(
    *,
    entity: Entity,
    entity_ids: list[str],
) -> dict[str, Any]:

    params: dict[str, Any] = {}

    json_entity = entity.value
    params["entity"] = json_entity

    json_entity_ids = entity_ids

    params["entityIds"] = json_entity_ids

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/entityTags/getTags",
        "params": params,
    }

    return _kwargs


def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> EntityTags | ErrorBody | None:
    if response.status_code == 200:
        response_200 = EntityTags.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorBody.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorBody.from_dict(response.json())

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
) -> Response[EntityTags | ErrorBody]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    entity: Entity,
    entity_ids: list[str],
) -> Response[EntityTags | ErrorBody]:
    """Read the tags of experiments or projects.

    Args:
        entity (Entity): What can have tags.
        entity_ids (list[str]):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[EntityTags | ErrorBody]
    """

    kwargs = _get_kwargs(
        entity=entity,
        entity_ids=entity_ids,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    entity: Entity,
    entity_ids: list[str],
) -> EntityTags | ErrorBody | None:
    """Read the tags of experiments or projects.

    Args:
        entity (Entity): What can have tags.
        entity_ids (list[str]):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        EntityTags | ErrorBody
    """

    return sync_detailed(
        client=client,
        entity=entity,
        entity_ids=entity_ids,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    entity: Entity,
    entity_ids: list[str],
) -> Response[EntityTags | ErrorBody]:
    """Read the tags of experiments or projects.

    Args:
        entity (Entity): What can have tags.
        entity_ids (list[str]):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[EntityTags | ErrorBody]
    """

    kwargs = _get_kwargs(
        entity=entity,
        entity_ids=entity_ids,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    entity: Entity,
    entity_ids: list[str],
) -> EntityTags | ErrorBody | None:
    """Read the tags of experiments or projects.

    Args:
        entity (Entity): What can have tags.
        entity_ids (list[str]):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        EntityTags | ErrorBody
    """

    return (
        await asyncio_detailed(
            client=client,
            entity=entity,
            entity_ids=entity_ids,
        )
    ).parsed
