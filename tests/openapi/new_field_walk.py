"""Use a field that was added to the contract, and print what was seen as JSON; run with a copy of the project first.

Arguments: the name in Python, the name on the wire, a good and a bad value as JSON, an address that records requests.
"""

import inspect
import json
import pydoc
import sys
import urllib.error
import urllib.request

import gradient_api

import gradient
import gradient_server
from gradient import ExperimentsClient, GradientSdkError

NAME, WIRE_NAME, RECORDER = sys.argv[1], sys.argv[2], sys.argv[5]
GOOD, BAD = json.loads(sys.argv[3]), json.loads(sys.argv[4])
KEYWORDS = {
    "name": "copied",
    "project_id": "prlvf0u05",
    "machine_type": "K80",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
}
BODY = {
    "name": "copied",
    "projectHandle": "prlvf0u05",
    "machineType": "K80",
    "command": "cHl0aG9uIG1uaXN0LnB5",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "experimentTypeId": 1,
}


def refusal(client):
    try:
        client.create_single_node(**KEYWORDS, **{NAME: BAD})
    except GradientSdkError as error:
        return str(error)
    return None


def answer(server, value):
    """Return status and body of the response to a request that the client would not send."""
    request = urllib.request.Request(
        f"{server.experiments_url}experiments/",
        data=json.dumps(BODY | {WIRE_NAME: value}).encode(),
        headers={"X-API-Key": server.api_key, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def main():
    seen = {"files": [module.__file__ for module in (gradient, gradient_api, gradient_server)]}
    with ExperimentsClient("a-key", base_url=RECORDER, logs_url=RECORDER) as client:
        client.create_single_node(**KEYWORDS, **{NAME: GOOD})
        seen["refusal"] = refusal(client)
    methods = (ExperimentsClient.create_single_node, ExperimentsClient.run_multi_node)
    seen["help"] = [pydoc.plain(pydoc.render_doc(method)) for method in methods]
    seen["annotations"] = [str(inspect.signature(method).parameters[NAME]) for method in methods]
    with gradient_server.LocalServer(check_answers=True) as server:
        seen["good"], seen["bad"] = answer(server, GOOD), answer(server, BAD)
        with ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client:
            created = client.get(client.create_single_node(**KEYWORDS, **{NAME: GOOD}))
            without = client.get(client.create_single_node(**KEYWORDS))
        seen["shown"] = [getattr(created, NAME), getattr(without, NAME), repr(created)]
    print(json.dumps(seen))


main()
