"""Changing the API is a routine: edit the contract, generate, read the summary. Each case on a copy of the project."""

import copy
import functools
from dataclasses import dataclass

import pytest

from tests.openapi.edits import drop, put


def field(description="How many GPUs of the machine to use"):
    return {"description": description, "type": "integer", "minimum": 1}


def add_optional_field(spec):
    spec["components"]["schemas"]["CommonFields"]["properties"]["gpuCount"] = field()


def add_required_field(spec):
    add_optional_field(spec)
    spec["components"]["schemas"]["SingleNodeRequest"]["allOf"][-1]["required"].append("gpuCount")
    spec["components"]["examples"]["SingleNodeRequest"]["value"]["gpuCount"] = 2


def add_enum_value(spec):
    state = spec["components"]["schemas"]["ExperimentState"]
    state["enum"].append(14)
    state["x-enum-varnames"].append("PAUSED")
    state["x-enum-texts"].append("paused")


def rename_field(spec):
    properties = spec["components"]["schemas"]["CommonFields"]["properties"]
    properties["regionId"] = properties.pop("clusterId")


def add_operation(spec):
    operation = copy.deepcopy(spec["paths"]["/experiments/{handle}/stop/"])
    operation["put"]["operationId"] = "pauseExperiment"
    spec["paths"]["/experiments/{handle}/pause/"] = operation


def remove_operation(spec):
    del spec["paths"]["/experiments/{handle}/"]["delete"]
    del spec["components"]["responses"]["Created"]["links"]["delete"]


@dataclass(frozen=True)
class Case:
    """An edit of the contract, what the summary says of it, and what is in the generated code then."""

    edit: object
    change: str
    sentence: str
    reason: str
    evaluated: tuple[str, str]
    value: object
    texts: int = 0


KEYWORDS = (
    "gradient_api.parameters as p",
    "{k.name: k.required for k in p.SINGLE_NODE_PARAMETERS.parameters if k.name in ('gpu_count', 'region_id', "
    "'cluster_id')}",
)
MODULES = (
    "pkgutil, gradient_api.api.experiments as e",
    "[m.name for m in pkgutil.iter_modules(e.__path__) if m.name in ('pause_experiment', 'delete_experiment')]",
)
CASES = {
    "optional field added": Case(
        add_optional_field,
        "added    gpuCount of CommonFields",
        "optional request field; in Python gpu_count",
        "",
        KEYWORDS,
        {"cluster_id": False, "gpu_count": False},
    ),
    "required field added": Case(
        add_required_field,
        "added    gpuCount of CommonFields",
        "request field, required in SingleNodeRequest; in Python gpu_count",
        "callers who do not give it are refused",
        KEYWORDS,
        {"gpu_count": True, "cluster_id": False},
        texts=1,
    ),
    "enum value added": Case(
        add_enum_value,
        "added    14 of ExperimentState",
        "enum value, constants.ExperimentState.PAUSED",
        "",
        ("gradient_api.constants as c", "[c.ExperimentState.PAUSED, c.ExperimentState.get_state_str(14)]"),
        [14, "paused"],
    ),
    "field renamed": Case(
        rename_field,
        "renamed  clusterId of CommonFields",
        "request field, now called regionId; in Python cluster_id is now region_id",
        "an old client still sends the old name, which nobody reads any more",
        KEYWORDS,
        {"region_id": False},
    ),
    "operation added": Case(
        add_operation,
        "added    PUT /experiments/{handle}/pause/",
        "operation pauseExperiment; in Python gradient_api.api.experiments.pause_experiment",
        "",
        MODULES,
        ["delete_experiment", "pause_experiment"],
    ),
    "operation removed": Case(
        remove_operation,
        "removed  DELETE /experiments/{handle}/",
        "operation deleteExperiment; in Python gradient_api.api.experiments.delete_experiment",
        "calls of it fail",
        MODULES,
        [],
        texts=1,
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


@pytest.fixture(scope="module")
def regenerated(new_copy):
    """Call this with an edit for a copy of the project that was edited so and generated, and for what that printed."""

    @functools.cache
    def regenerate(edit):
        project = new_copy()
        project.edit(edit)
        done = project.generate()
        assert not done.returncode, done.stderr
        return project, done.stdout

    return regenerate


@pytest.fixture
def edited(case, regenerated):
    return regenerated(case.edit)


def test_the_summary_says_what_changed(case, edited):
    """One change is listed, with its place and its reason, and then whether old callers break."""
    lines = [line for line in edited[1].splitlines() if " has no " not in line]  # operations without a caller
    first, *others, last = lines[lines.index("Compared with what it was written from before:") + 1 :]
    assert first == f"  {case.change}  {case.sentence}"
    expected = [f"breaks: {case.reason}"] if case.reason else []
    expected += [f"changed  {case.texts} of the descriptions, examples and links"] if case.texts else []
    assert [line.strip() for line in others] == expected
    assert last == ("Old callers break: 1 of 1 changes." if case.reason else "Old callers do not break.")


def test_the_generated_code_follows(case, edited):
    """What was edited in the contract is in the generated code, and nothing else had to be edited."""
    assert edited[0].evaluate(*case.evaluated) == case.value


def test_generating_twice_changes_nothing(regenerated):
    """The second time the files are the same, byte by byte, and the summary says so."""
    project, _ = regenerated(add_optional_field)
    once = project.files()
    done = project.generate()
    assert project.files() == once
    assert done.stdout.endswith("  nothing changed\nOld callers do not break.\n")


def test_functions_that_are_gone_and_called_are_named(regenerated):
    """The method of the client that calls one is to be removed as well."""
    _, printed = regenerated(remove_operation)
    assert "experiments has no delete_experiment, which async_client.py calls in line " in printed


def test_generating_mends_what_a_merge_left(new_copy):
    """Code with both sides of a conflict in it is written anew; it says that it cannot compare."""
    project = new_copy()
    before = project.files()
    project.package.joinpath("experiments.json").write_text("<<<<<<< ours", encoding="utf-8")
    done = project.generate()
    assert done.returncode == 0, done.stderr
    assert "cannot be read, so there is nothing to compare with" in done.stdout
    assert project.files() == before


def test_the_check_fails_while_the_code_is_stale(new_copy):
    """An edited contract that nobody generated from is found, file by file, and nothing is written."""
    project = new_copy()
    before = project.files()
    project.edit(add_optional_field)
    done = project.generate("--check")
    assert done.returncode == 1
    assert "The generated code is stale; run `make generate`" in done.stderr
    stale = [
        f"  generated/gradient_api/{name}"
        for name in ("experiments.json", "models/single_node_request.py", "parameters.py")
    ]
    assert set(stale) <= set(done.stderr.splitlines())
    assert project.files() == before


def break_the_syntax(project):
    """A warning of the compiler is an error in later versions of Python."""
    _append(project.root / "openapi" / "templates" / "constants.py.jinja", 'PATTERN = "\\d"')


def break_the_client(project):
    _append(project.root / "gradient_ext" / "async_client.py", "async def (")


def _append(path, text):
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")


def break_what_the_client_imports(project):
    _replace(project.root / "openapi" / "templates" / "experiment_fields.py.jinja", "STORED_PARAMETERS", "STORED")


def break_what_experiments_show(project):
    _replace(project.root / "openapi" / "derive.py", "[snake_case(wire_name), wire_name]", '["elsewhere"]')


def _replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_of(edit):
    return lambda project: project.edit(edit)


FIELD = {"description": "How many GPUs of the machine to use", "type": "string"}
COMMON = "components schemas CommonFields properties"
TAKEN = "It may be that a name of the contract is one that the code uses itself; give it an x-python-name."


FAULTS = {
    "code that does not compile": (break_the_syntax, ["compileall failed.", "SyntaxError"]),
    "client without a synchronous form": (break_the_client, ["async_client.py, line "]),
    "name that the client imports": (
        break_what_the_client_imports,
        ["gradient_ext/experiments.py, line ", "ImportError: cannot import name 'STORED_PARAMETERS'"],
    ),
    "experiment without its values": (
        break_what_experiments_show,
        ["SingleNodeRequest: experiments would not show machine_type."],
    ),
    "contract that does not fit together": (
        edit_of(drop(f"{COMMON} name description")),
        ["experiments.yaml does not fit together.", "CommonFields: name needs a description;"],
    ),
    "document that is no OpenAPI": (edit_of(drop("info version")), ["experiments.yaml is no valid OpenAPI document: "]),
    "contract that is not expected": (
        edit_of(drop("components schemas LogRow properties message x-end")),
        ["experiments.yaml is not as derive.py, line ", "KeyError: 'x-end'"],
    ),
    "enumeration that cannot be generated": (
        edit_of(put(f"{COMMON} tier", FIELD | {"enum": ["a-b", "a_b"]})),
        ["ValueError: Duplicate key A_B in enum"],
    ),
    "schema that cannot be generated": (
        edit_of(put("components schemas Done properties tier", {"enum": ["a", 1]})),
        ["Unable to process schema /components/schemas/Done"],
    ),
    "field called like a type": (
        edit_of(put(f"{COMMON} str", FIELD)),
        ["mypy failed.\n  gradient_api/experiment_fields.py:", TAKEN],
    ),
    "field called like a variable": (
        edit_of(put(f"{COMMON} d", FIELD)),
        ["gradient_api/models/single_node_request.py, line ", TAKEN],
    ),
    "field called like a method": (
        edit_of(put(f"{COMMON} show", FIELD)),
        ["show is a method of experiments, so a field needs an x-python-name that is another."],
    ),
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_what_does_not_work_is_not_written(new_copy, fault, words):
    """A sentence says what is wrong, without a traceback, and everything stays as it was."""
    project = new_copy()
    before = project.files()
    fault(project)
    done = project.generate()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Nothing has been written: ")
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert project.files() == before
