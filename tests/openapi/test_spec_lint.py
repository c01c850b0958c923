"""A contract from which nothing could be generated, or something wrong, gets a sentence that names the place."""

import copy

import pytest
from spec_lint import problems

from tests.openapi.edits import SPEC, append, at, drop, each, put

STATE, EXPERIMENT = "components schemas ExperimentState", "components schemas Experiment properties"
COMMON, SINGLE_NODE = "components schemas CommonFields", "components schemas SingleNodeRequest"
PAUSE = "paths /experiments/{handle}/pause/"
FIELD = {"description": "How many GPUs of the machine to use", "type": "integer"}


def field(name, **more):
    return put(f"{COMMON} properties {name}", FIELD | more)


def member(schema):
    """An edit: put another member into the answer that experiments show."""
    return put(f"{EXPERIMENT} queued", {"description": "When it was queued", "x-python-name": "queued"} | schema)


def operation(**more):
    def edit(spec):
        spec["paths"]["/experiments/{handle}/pause/"] = copy.deepcopy(spec["paths"]["/experiments/{handle}/stop/"])
        spec["paths"]["/experiments/{handle}/pause/"]["put"] |= {"operationId": "pauseExperiment"} | more

    return edit


def rename_a_required_field(spec):
    properties = spec["components"]["schemas"]["SingleNodeFields"]["properties"]
    properties["kind"] = properties.pop("machineType")


MORE = {"type": "object", "properties": {"tier": {"type": "string"}}}
MPI, MULTI = "MpiMultiNodeRequest", "components schemas MultiNodeRequest"


def without_servers_of_projects(spec):
    for path in ("/projects/", "/projects/{handle}/deleteProject"):
        for operation in spec["paths"][path].values():
            del operation["servers"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda spec: None,
        each(put("paths /jobs/logs summary", "Rows in responses"), put("paths /jobs/logs x-owner", {"team": "logs"})),
        # Nobody gives these as keywords.
        put("components schemas Composed", {"allOf": [MORE | {"required": ["zone"]}]}),
        drop(f"components examples {MPI}"),
    ],
)
def test_what_fits_together_has_no_problems(edit):
    spec = copy.deepcopy(SPEC)
    edit(spec)
    assert problems(spec) == []


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (append(f"{STATE} enum", 14), "ExperimentState: x-enum-varnames has 13 entries for 14 values of enum."),
        (append(f"{STATE} x-enum-texts", "x"), "ExperimentState: x-enum-texts has 14 entries for 13 values of enum."),
        (put(f"{STATE} x-enum-texts 3", "stopped"), "ExperimentState: x-enum-texts has stopped more than once."),
        (put(f"{STATE} x-enum-varnames 3", "STOPPED"), "ExperimentState: x-enum-varnames has STOPPED more than once."),
        (put(f"{STATE} enum 3", 5), "ExperimentState: enum has 5 more than once."),
        (
            put(f"{STATE} x-enum-varnames 3", "get_state_str"),
            "get_state_str of x-enum-varnames is not in capitals",
        ),
        (
            put(f"{STATE} x-enum-varnames 3", "NO-NAME"),
            "ExperimentState: NO-NAME of x-enum-varnames is",
        ),
        (drop(f"{STATE} x-enum-texts"), "ExperimentState: x-constants needs x-enum-texts."),
        (drop(f"{STATE} description"), "ExperimentState needs a description; it becomes documentation."),
        (drop(f"{SINGLE_NODE} description"), "SingleNodeRequest needs a description; it becomes documentation."),
        (
            put(f"{MULTI} allOf 3 properties experimentTypeId x-enum-aliases", ["GRPC"]),
            "MultiNodeRequest: experimentTypeId: x-enum-aliases has 1 entries for 2 values of enum.",
        ),
        (drop(f"components schemas {MPI} description"), f"{MPI} needs a description; it becomes documentation."),
        (append(f"components schemas {MPI} allOf 3 required", "tier"), f"{MPI}: tier is required, but no such field"),
        (
            each(drop(f"{SINGLE_NODE} x-experiment"), append(f"{SINGLE_NODE} allOf 2 required", "tier")),
            "SingleNodeRequest: tier is required, but no such field",
        ),
        (rename_a_required_field, "SingleNodeRequest: machineType is required, but no such field is there."),
        (
            each(field("gpuCount"), append(f"{SINGLE_NODE} allOf 2 required", "gpuCount")),
            "SingleNodeRequest: gpuCount is required, but the example of that name lacks it;",
        ),
        (
            put(f"{COMMON} properties gpuCount", {"type": "integer"}),
            "CommonFields: gpuCount needs a description; it becomes help().",
        ),
        (
            put(f"{COMMON} properties gpuCount", {"description": "GPUs", "enum": [1, 2]}),
            "CommonFields: gpuCount needs a type, a single one;",
        ),
        (
            put(f"{COMMON} dependentRequired clusterId", ["tier"]),
            "SingleNodeRequest: tier is required, but no such field is there.",
        ),
        (field("cluster_id"), "SingleNodeRequest: several fields are called cluster_id in Python."),
        (field("state"), "Experiments would have several attributes called state;"),
        (field("id"), "Experiments would have several attributes called id;"),
        (member({"x-python-name": "cluster_id", "type": "string"}), "Experiments would have several attributes called"),
        (member({}), "Experiment: queued needs one type; null may be another."),
        (member({"type": "null"}), "Experiment: queued needs one type; null may be another."),
        (member({"oneOf": [{"type": "string"}, {"type": "integer"}]}), "Experiment: queued needs one type;"),
        (member({"type": "string", "x-python-name": "when queued"}), "Experiment: queued would be 'when queued'"),
        (drop(f"{EXPERIMENT} dtStarted description"), "Experiment: dtStarted needs a description;"),
        (drop("components schemas Project properties repoName description"), "Project: repoName needs a description;"),
        (drop("components schemas Project description"), "Project needs a description;"),
        (drop("components schemas LogRow properties line type"), "LogRow: line needs one type;"),
        (
            drop("paths /experiments/{handle}/ get responses 200 content application/json examples"),
            "GET /experiments/{handle}/: the response 200 needs an example",
        ),
        (
            each(operation(), drop(f"{PAUSE} put operationId")),
            "PUT /experiments/{handle}/pause/ needs an operationId; functions are called after it.",
        ),
        (
            operation(operationId="getGPUs"),
            "getGPUs would be called get_gp_us in the client and get_gpus in the server; write the operationId in",
        ),
        (operation(operationId="import"), "import would be called import_ in the client and import in the server;"),
        (operation(operationId="stop_experiment"), "Several operations are called stop_experiment in Python."),
        (put(PAUSE, {"$ref": "#/paths/~1experiments~1"}), "/experiments/{handle}/pause/ is a reference"),
        (put("security", []), "security: the first requirement must be one key in a header"),
        (put("security", [{"apiKey": [], "team": []}]), "security: the first requirement must be one key in a header"),
        (put("components securitySchemes apiKey in", "query"), "security: the first requirement must be one key in a"),
        (drop("paths /jobs/logs get servers"), "No operation that is tagged `logs` has servers;"),
        (without_servers_of_projects, "No operation that is tagged `projects` has servers;"),
    ],
)
def test_what_does_not_fit_together_gets_a_sentence(edit, sentence):
    spec = copy.deepcopy(SPEC)
    edit(spec)
    assert [found for found in problems(spec) if sentence in found]


@pytest.mark.parametrize("name", ["class", "None", "self", "gpu-count", "_gpu", "__gpu", "2nd", "µBatch", "größe", ""])
def test_what_cannot_be_a_name_in_python_gets_a_sentence(name):
    spec = copy.deepcopy(SPEC)
    at(spec, f"{COMMON} properties")["gpuCount"] = FIELD | {"x-python-name": name}
    assert problems(spec) == [
        f"CommonFields: gpuCount would be {name!r} in Python, which cannot be a name; give it an x-python-name."
    ]
