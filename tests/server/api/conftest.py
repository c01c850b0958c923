"""Shared by the tests of the API: its addresses, and requests to an application without a socket."""

import asyncio

import httpx

EXPERIMENTS, EXPERIMENTS_V2 = "/experiments/v1/experiments/", "/experiments/v2/experiments/"


def call(app, method, path, *, api_key="key", **options):
    """Send a request to an ASGI application; its response."""

    async def send():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, headers={"X-API-Key": api_key}, **options)

    return asyncio.run(send())
