"""How schemathesis calls the server: the contract as it reads it, where operations are, and what the tally keeps."""

import json
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import requests
import schemathesis

SUITE = "server"
SPEC = json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))
SCHEMA = schemathesis.openapi.from_dict(
    SPEC, config=schemathesis.Config.from_path(Path(__file__).with_name("schemathesis.toml"))
)
KEY_HEADER = next(iter(SPEC["components"]["securitySchemes"].values()))["name"]


def id_of(operation):
    return operation.definition.raw["operationId"]


OPERATIONS = {id_of(found.ok()): found.ok() for found in SCHEMA.get_all_operations()}


# One for all: with one for each call, half of the time would go into connections and into looking for proxies.
_SESSION = requests.Session()
_SESSION.trust_env = False


def on(server, operation, version=0):
    """Say how to call an operation on a server: its path is that of the contract, also where it has its own host."""
    servers = operation.definition.raw.get("servers", SPEC["servers"])
    return {"base_url": server.url + urlsplit(servers[min(version, len(servers) - 1)]["url"]).path, "session": _SESSION}


def record(tally, case, response):
    """Keep what was called and what came."""
    tally.count(SUITE, "requests")
    if case.meta:
        tally.count(SUITE, f"of {case.meta.generation.mode.value} data")
    tally.see(SUITE, "operations", id_of(case.operation))
    tally.see(SUITE, "pairs of operation and status", (id_of(case.operation), response.status_code))
