"""What processes of this machine cannot run is refused when an experiment is created, by field."""

import contextlib
import os
import re
import resource

import pytest
from gradient_api.constants import ExperimentType

from gradient_server.runners.base import RunRejectedError
from tests.server.runners.conftest import only_linux

GRPC = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "workerCount": 2,
    "parameterServerCommand": "serve",
    "parameterServerCount": 1,
}
# Of Linux: a text with its end has at most 128 KiB.
LONGEST = 131_071


def rejected(bench, **given):
    with pytest.raises(RunRejectedError) as caught:
        bench.admit(**given)
    assert len(str(caught.value)) < 500
    return caught.value.member, str(caught.value)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({**GRPC, "workerCount": 64, "parameterServerCount": 1}, "workerCount"),
        ({**GRPC, "workerCount": 10**12}, "workerCount"),
        ({"experimentEnv": {"A": "a\0b"}}, "experimentEnv"),
        ({"command": "a\0b"}, "command"),
        ({**GRPC, "parameterServerCommand": "a\0b"}, "parameterServerCommand"),
        ({"name": "a\0b"}, "name"),
        ({"workingDirectory": "a\0b"}, "workingDirectory"),
        ({"workspacePassword": "a\0b"}, "workspacePassword"),
    ],
)
def test_a_request_that_cannot_be_run_is_rejected_by_field(bench, given, field):
    assert rejected(bench, **given)[0] == field


def test_the_most_nodes_are_accepted(bench):
    assert len(bench.admit(**{**GRPC, "workerCount": 63}).jobs) == 64


def test_a_nul_is_said_of_the_value_that_has_it(bench):
    text = "The value of 'A' must be text without NUL."
    assert rejected(bench, experimentEnv={"B": 1, "A": "x\0y"}) == ("experimentEnv", text)


@pytest.mark.parametrize(
    "name",
    ["app.lr", "MY-VAR", "1X", "", "A=B", "A\0", "A B", "A\n", "é", "٣", "BASH_FUNC_ls%%", "A[0]", "$A", "x" * 9 + "-"],
)
@pytest.mark.parametrize("value", ["x", None])
def test_a_variable_that_sh_would_not_pass_on_is_rejected_by_name(bench, name, value):
    field, text = rejected(bench, experimentEnv={"FINE": 1, name: value})
    assert field == "experimentEnv"
    assert text.startswith(f"{name!r}: sh passes on no variables with such names; ")


def test_a_few_invalid_names_are_listed(bench):
    _, text = rejected(bench, experimentEnv={f"{number}": 1 for number in range(9)} | {"x" * 9999 + "-": 1})
    assert text.startswith("'0', '1', '2' and 7 more: ")


def test_every_variable_that_is_accepted_reaches_the_command(bench):
    given = {"_a": "x", "A": "=", "aB_9": 1.5, "C": True, "D": "a\nb", "GONE": None, "PYTHONUNBUFFERED": None}
    names = " ".join(given)
    run = bench.done(f'for name in {names}; do eval echo "$name=\\"\\${{$name-none}}\\""; done', experimentEnv=given)
    assert bench.outcome(run) == ("stopped", None)
    expected = ["_a=x", "A==", "aB_9=1.5", "C=true", "D=a", "b", "GONE=none", "PYTHONUNBUFFERED=none"]
    assert bench.rows(run) == expected


# Sizes


def as_command(size):
    return {"command": ":" + " " * (size - 1)}


def as_variable(size):
    return {"experimentEnv": {"CONFIG": "é" + "x" * (size - len("CONFIG=é".encode()))}}


def as_name(size):
    return {"name": "n" * (size - len("EXPERIMENT_NAME="))}


@pytest.mark.parametrize(
    ("of_size", "field", "subject"),
    [
        (as_command, "command", "It"),
        (as_variable, "experimentEnv", "'CONFIG' with its value"),
        (as_name, "name", "'EXPERIMENT_NAME' with its value"),
    ],
)
def test_the_longest_text_runs_and_one_that_is_longer_is_rejected_by_field(bench, of_size, field, subject):
    run = bench.done(**{"command": ":", **of_size(LONGEST)})
    assert bench.outcome(run) == ("stopped", None)
    text = f"{subject} has {LONGEST + 1} bytes, and a process can get at most {LONGEST}; shorten it, or use a file."
    assert rejected(bench, **of_size(LONGEST + 1)) == (field, text)


def test_the_name_of_a_variable_counts_too(bench):
    assert rejected(bench, experimentEnv={"X" * LONGEST: ""})[0] == "experimentEnv"


def test_a_variable_of_the_experiment_is_blamed_even_where_a_field_has_another_value_for_it(bench):
    given = {"name": "n", "experimentEnv": {"EXPERIMENT_NAME": "n" * LONGEST}}
    assert rejected(bench, **given)[0] == "experimentEnv"
    bench.admit(name="n" * LONGEST, experimentEnv={"EXPERIMENT_NAME": "short"})


@pytest.mark.parametrize("field", ["workerCommand", "parameterServerCommand"])
def test_the_command_of_each_node_is_checked(bench, field):
    assert rejected(bench, **GRPC | {field: "x" * (LONGEST + 1)})[0] == field


@contextlib.contextmanager
def stack_limit(size):
    """Limit the stack, of which Linux gives a quarter to arguments and variables, in this process and its children."""
    before = resource.getrlimit(resource.RLIMIT_STACK)
    if before[1] != resource.RLIM_INFINITY:
        pytest.skip("the stack of this process is limited")
    resource.setrlimit(resource.RLIMIT_STACK, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, before)


@only_linux
@pytest.mark.parametrize(
    ("size", "limit"), [(2**20, 245_760), (2**23, 2_080_768), (resource.RLIM_INFINITY, 6_275_072)], ids=str
)
def test_as_much_as_the_system_takes_runs_and_more_is_rejected(bench, monkeypatch, size, limit):
    if size == resource.RLIM_INFINITY:  # older C libraries know of no limit then
        monkeypatch.setattr(os, "sysconf", lambda name: 2**61)
    command = "echo $V00 | wc -c"
    with stack_limit(size):
        given = {f"V{number:02}": "x" * 100_000 for number in range(64)}
        field, text = rejected(bench, command=command, experimentEnv=given)
        found = re.match(r"The command of worker 0 and all of its variables have (\d+) bytes.* at most (\d+);", text)
        total, most = map(int, found.groups())
        assert (field, most) == ("experimentEnv", limit)
        # Without so many variables, and with a shorter one, it is just as much.
        too_many, too_long = divmod(total - most, 100_000 + len("V00=") + 9)
        fits = dict(list(given.items())[: 64 - too_many]) | {"V00": "x" * (100_000 - too_long)}
        run = bench.done(command, experimentEnv=fits)
        assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), [str(100_001 - too_long)])
        assert rejected(bench, command=command, experimentEnv=fits | {"V00": fits["V00"] + "x"})[0] == "experimentEnv"


def test_many_small_variables_are_rejected_together(bench):
    """The system counts the end and the pointer of each, 9 bytes."""
    most = min(os.sysconf("SC_ARG_MAX"), 6 * 2**20)
    assert rejected(bench, experimentEnv={f"A{number}": "" for number in range(most // 12)})[0] == "experimentEnv"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workspaceUrl", "x" * 65_537),
        ("workspaceRef", "x" * 65_537),
        ("workspaceUsername", "x" * 65_537),
        ("workspacePassword", "x" * 65_537),
        ("workingDirectory", "x/" * 2048),
        ("workingDirectory", "é" * 128),
        ("artifactDirectory", "x/" * 2048),
        ("artifactDirectory", "a/" + "x" * 256),
    ],
)
def test_a_field_about_the_workspace_that_is_too_long_is_rejected(bench, field, value):
    assert rejected(bench, **{field: value})[0] == field


def test_long_fields_about_the_workspace_are_accepted(bench):
    longest = {"workspaceUrl": "x" * 65_536, "workingDirectory": "x" * 255 + "/y" * 1920, "artifactDirectory": None}
    bench.admit(**longest)


def test_what_an_earlier_server_has_started_runs_as_it_was_accepted_there(make_bench):
    bench = make_bench(recover=False)
    run = bench.admit(experimentEnv={"app.lr": 1}, started=0.0)
    bench.runner.recover()
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
