"""What the contract offers beyond what the client suite uses of it, with Prism between client and server."""

from importlib import import_module

import gradient_api.models
import pytest
from contract import KEY_HEADER, OPERATIONS, SPEC, properties, python_name
from gradient_api import AuthenticatedClient
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS
from values import fitting, full_body

from gradient import ExperimentsClient


def calls(operation, handle):
    """Give the arguments of all calls of a generated operation: every parameter, and every kind of body in full."""
    given = {}
    for parameter in operation.parameters:
        value = handle if parameter["name"] in ("handle", "experimentId") else parameter["example"]
        if parameter["schema"]["type"] == "object":
            name = operation.id[0].upper() + operation.id[1:] + parameter["name"][0].upper() + parameter["name"][1:]
            value = getattr(gradient_api.models, name).from_dict(value)
        given[python_name(parameter["name"])] = value
    if not operation.body_kinds:
        return [given]
    models = {getattr(gradient_api.models, name): kind for name, kind in operation.body_kinds.items()}
    # Each body is a call of its own, and has a key of its own.
    return [
        {
            **given,
            "idempotency_key": f"{given['idempotency_key']}-{model.__name__}",
            "body": model.from_dict(full_body(kind)),
        }
        for model, kind in models.items()
    ]


@pytest.mark.parametrize(
    ("operation", "prefix"),
    [(operation, prefix) for operation in OPERATIONS for prefix in operation.prefixes],
    ids=lambda value: getattr(value, "id", value),
)
def test_every_operation_with_every_parameter(gradient_server, client, single_node, operation, prefix):
    """The generated client sends all that the contract declares, to every server that it declares."""
    module = import_module(f"gradient_api.api.{operation.tag}.{python_name(operation.id)}")
    handle = client.create_single_node(**single_node)
    with AuthenticatedClient(
        gradient_server.url + prefix, gradient_server.api_key, prefix="", auth_header_name=KEY_HEADER
    ) as generated:
        for call in calls(operation, handle):
            assert module.sync_detailed(client=generated, **call).status_code < 300


@pytest.mark.parametrize(
    ("verb", "accepted", "kind"),
    [
        (f"{verb}_{nodes}_node", accepted, kind)
        for verb in ("create", "run")
        for nodes, accepted, kinds in [
            ("single", SINGLE_NODE_PARAMETERS, [{}]),
            ("multi", MULTI_NODE_PARAMETERS, [{"experiment_type_id": number} for number in (2, 3)]),
        ]
        for kind in kinds
    ],
)
def test_every_keyword(client, verb, accepted, kind):
    """What the client sends of every keyword is what the contract says, and comes back as it was given."""
    schemas = properties(SPEC["components"]["schemas"][accepted.schema])
    given = {parameter.name: fitting(schemas[parameter.wire_name]) for parameter in accepted.parameters} | kind
    experiment = client.get(getattr(client, verb)(**given))
    assert {name: getattr(experiment, name) for name in given} == given


def test_the_second_version_of_the_service(gradient_server, single_node):
    """A client that is pointed at the other address of the experiments does the same there."""
    with ExperimentsClient(
        gradient_server.api_key, base_url=gradient_server.experiments_url_v2, logs_url=gradient_server.logs_url
    ) as client:
        experiment_id = client.run_single_node(**single_node)
        gradient_server.advance(30)
        assert len(list(client.yield_logs(experiment_id))) == 20
        assert client.list() == client.list(single_node["project_id"]) == [client.get(experiment_id)]
        client.delete(experiment_id)
        assert client.list() == []
