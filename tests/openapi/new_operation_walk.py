"""Use an operation that was added to the contract, and print what was seen as JSON."""

import asyncio
import json
import pydoc
import urllib.error
import urllib.request

import gradient_api

import gradient
import gradient_server
from gradient import AsyncExperimentsClient, ExperimentsClient

KEYWORDS = {"name": "copied", "project_id": "pr1", "machine_type": "K80", "command": "true", "container": "python"}


def refusal(server, handle, body):
    """Return status and named members of the response to a request that the client would not send."""
    request = urllib.request.Request(
        f"{server.experiments_url}experiments/{handle}/",
        method="PATCH",
        data=json.dumps(body).encode(),
        headers={"X-API-Key": server.api_key, "Content-Type": "application/json"},
    )
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        details = json.load(error)["details"]
        return error.code, list(details) if isinstance(details, dict) else None
    return 200, None


async def update(places, handle):
    async with AsyncExperimentsClient(**places) as client:
        return (await client.update(handle, "by the asynchronous client")).name


with gradient_server.LocalServer() as server:
    places = {"api_key": server.api_key, "base_url": server.experiments_url, "logs_url": server.logs_url}
    with ExperimentsClient(**places) as client:
        handle = client.create_single_node(**KEYWORDS)
        names = [client.update(handle, "by the synchronous client").name, asyncio.run(update(places, handle))]
        assert client.get(handle).name == names[1]
    print(
        json.dumps(
            {
                "files": [gradient.__file__, gradient_api.__file__, gradient_server.__file__],
                "names": names,
                "refusals": [
                    refusal(server, handle, {"name": ""}),
                    refusal(server, handle, {}),
                    refusal(server, "esnothing", {"name": "text"}),
                ],
                "help": pydoc.plain(pydoc.render_doc(ExperimentsClient.update)),
            }
        )
    )
