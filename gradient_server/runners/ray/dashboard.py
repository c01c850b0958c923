"""The HTTP APIs of a Ray cluster: jobs, packages and machines from its dashboard, files from a machine's agent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

import httpx
from attrs import frozen

from gradient_server.runners.ray.placement import Machine

OLDEST, NEWEST = (2, 53), (2, 60)
"""The versions of Ray that this was written for. Before the oldest one, files of packages are readable by everybody."""
CHUNK = 4 * 1024 * 1024
"""Bytes of a file that are requested at once."""
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_CONNECTIONS = 8
"""Connections to each machine."""
_DRAIN_TIMEOUT = 0.5
"""Seconds in which requests come to their end when the server does."""
_MAX_SHOWN = 500
"""Characters of an answer in an error."""
_OVER = ("STOPPED", "SUCCEEDED", "FAILED")


class UnreachableError(Exception):
    """The cluster does not answer, or not with what was asked for: nobody knows what goes on there."""


class RefusedError(Exception):
    """The cluster refuses a job, and will do so again."""


@frozen
class Version:
    """The cluster that answers.

    :param str ray: the version of Ray
    :param str session: another one whenever the cluster was started anew, and has lost all that it knew
    """

    ray: str
    session: str

    @property
    def is_too_old(self) -> bool:
        """Whether Ray is older than what runs here need."""
        return self._number < OLDEST

    @property
    def is_untested(self) -> bool:
        """Whether Ray is newer than what runs here were tested with."""
        return self._number > NEWEST

    @property
    def _number(self) -> tuple[int, ...]:
        return tuple(int(part) if part.isdecimal() else 0 for part in self.ray.split(".")[:2])


@frozen
class Job:
    """A job as the cluster knows it.

    :param str status: Ray's word for its state
    :param str message: the state in Ray's words, or its error
    :param str agent: the URL of the agent of its driver's machine; None: the driver has not been started
    """

    status: str
    message: str
    agent: str | None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in _OVER


class Dashboard:
    """A client of the dashboard of a cluster. Used by the tasks of one event loop.

    :param str address: its URL, as in `http://head:8265`
    :param str token: for clusters that want one; None: there is none
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address.rstrip("/")
        self.readers = 0
        """How many runs are followed."""
        self._requests = 0
        """How many requests have begun and not ended."""
        self._is_draining = False
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._clients: dict[str, httpx.AsyncClient] = {}
        """One for each machine, so that one that does not answer holds up no other."""

    async def drain(self) -> None:
        """Wait until requests that have begun have ended, for a while; tasks that want another one are canceled."""
        self._is_draining = True
        deadline = time.monotonic() + _DRAIN_TIMEOUT
        while self._requests and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Close its connections."""
        for client in self._clients.values():
            await client.aclose()

    async def version(self) -> Version:
        """Return what answers.

        :raises UnreachableError: nobody, or not Ray
        """
        found = await self._json("GET", "/api/version")
        return Version(str(found.get("ray_version")), str(found.get("session_name")))

    async def job(self, id: str) -> Job | None:
        """Return a job; None: the cluster has none of that id.

        :raises UnreachableError: that is unknown
        """
        response = await self._request("GET", f"{self.address}/api/jobs/{id}", ok=(200, 404))
        if response.status_code == 404:
            return None
        found = self._members(response)
        return Job(str(found.get("status")), str(found.get("message") or ""), found.get("driver_agent_http_address"))

    async def submit(self, id: str, package: bytes, body: Mapping[str, Any]) -> None:
        """Submit a job, whose working directory is a package. It may have been submitted before.

        :param str id: of the job
        :param bytes package: a zip file
        :param body: the request without these

        :raises RefusedError: the cluster does not take it
        :raises UnreachableError: it may have been submitted, or not
        """
        name = f"_ray_pkg_{id.replace('-', '_')}.zip"
        await self._request("PUT", f"{self.address}/api/packages/gcs/{name}", content=package)
        environment = {**body.get("runtime_env", {}), "working_dir": f"gcs://{name}"}
        request = {**body, "submission_id": id, "runtime_env": environment}
        response = await self._request("POST", f"{self.address}/api/jobs/", json=request, ok=(200, 400))
        if response.status_code == 400 and "already exists" not in response.text:
            raise RefusedError(f"The Ray cluster refuses the run: {_last_line(response.text)}")

    async def stop(self, id: str) -> None:
        """Have the driver of a job get SIGTERM; nothing happens if it has ended.

        :raises UnreachableError: that is unknown
        """
        await self._request("POST", f"{self.address}/api/jobs/{id}/stop", ok=(200, 404))

    async def delete(self, id: str) -> None:
        """Have the cluster forget a job that has ended.

        :raises UnreachableError: that is unknown
        """
        await self._request("DELETE", f"{self.address}/api/jobs/{id}", ok=(200, 404))

    async def machines(self) -> list[Machine] | None:
        """Return the machines that there are; None: others may join, as in a cluster that grows with its load.

        :raises UnreachableError: that is unknown
        """
        nodes = await self._json("GET", "/api/v0/nodes?limit=10000&detail=true")
        status = await self._json("GET", "/api/cluster_status")
        try:
            machines = [
                Machine(node["node_name"] or node["node_ip"], node["resources_total"], node.get("labels") or {})
                for node in nodes["data"]["result"]["result"]
                if node["state"] == "ALIVE"
            ]
            # Without an autoscaler, each machine has a type of its own.
            types: dict[str, str] = status["data"]["clusterStatus"]["autoscalerReport"]["nodeTypeMapping"] or {}
        except (KeyError, TypeError):
            return None
        return machines if types and all(name == f"node_{id}" for id, name in types.items()) else None

    async def read(self, agent: str, path: str, offset: int) -> bytes | None:
        """Return what follows an offset in a file of Ray's logs, at most `CHUNK` bytes; None: there is no such file.

        :raises UnreachableError: that is unknown
        """
        headers = {"Range": f"bytes={offset}-{offset + CHUNK - 1}"}
        response = await self._request("GET", f"{agent}/logs/{path}", headers=headers, ok=(200, 206, 404, 416))
        match response.status_code:
            case 404:
                return None
            case 416:
                return b""
            case 206:
                return response.content
            case _:  # without ranges: all of it
                return response.content[offset:]

    async def _json(self, method: str, path: str) -> dict[str, Any]:
        return self._members(await self._request(method, self.address + path))

    def _members(self, response: httpx.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UnreachableError(f"{self.address} is no dashboard of Ray: its answer is no JSON object")
        return found  # pyright: ignore[reportUnknownVariableType] # JSON has texts as names

    async def _request(self, method: str, url: str, *, ok: tuple[int, ...] = (200,), **options: Any) -> httpx.Response:
        place = url.partition("/api/")[0].partition("/logs/")[0]
        if self._is_draining:
            raise asyncio.CancelledError
        self._requests += 1
        try:
            response = await self._client(place).request(method, url, **options)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{place} does not answer: {str(error) or type(error).__name__}") from error
        finally:
            self._requests -= 1
        if response.status_code in ok:
            return response
        match response.status_code:
            case 401:
                reason = "it wants a token: set RAY_AUTH_TOKEN, or use --ray-token-file"
            case 403:
                reason = "it refuses the token"
            case status:
                reason = f"the answer was {status}: {_last_line(response.text)}"
        raise UnreachableError(f"{place} cannot be used: {reason}")

    def _client(self, place: str) -> httpx.AsyncClient:
        if place not in self._clients:
            # Few connections: httpx looks at all of them for each request.
            limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
            self._clients[place] = httpx.AsyncClient(headers=self._headers, timeout=_TIMEOUT, limits=limits)
        return self._clients[place]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return lines[-1][:_MAX_SHOWN]


def backoff(failures: int) -> float:
    """Return the seconds until a cluster that could not be reached some times is tried again."""
    return min(0.2 * math.pow(2, min(failures, 10)), 5.0)
