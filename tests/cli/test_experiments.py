"""`gradient experiments` and `gradient run`: what they send, what they print and how they end."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS

from gradient import ExperimentsClient, ExperimentState, NotFoundError, Removal
from gradient_cli.app import command_line
from tests.client.terminals import Terminal
from tests.conftest import SINGLE_NODE

SINGLE = {name: SINGLE_NODE[name] for name in ("name", "project_id", "command", "machine_type", "container")}
FAST = {"GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 1}
SLOW = {"GRADIENT_MOCK_LOG_LINES": 50, "GRADIENT_MOCK_SECONDS": 3000}
HISTORICAL = ("--name", "n", "--projectId", "prx", "--machineType", "K80", "--container", "c", "--command", "true")
GRADIENT = (sys.executable, "-m", "gradient_cli")


def made(client, *, start=True, env=FAST):
    """Return the id of an experiment, which is started unless a test says otherwise."""
    return (client.run_single_node if start else client.create_single_node)(**SINGLE, experiment_env=env)


def camel(name):
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


# Options


@pytest.mark.parametrize("verb", ["create", "run"])
@pytest.mark.parametrize(
    ("kind", "accepted"), [("singlenode", SINGLE_NODE_PARAMETERS), ("multinode", MULTI_NODE_PARAMETERS)]
)
def test_every_keyword_of_the_contract_is_an_option_in_both_spellings(verb, kind, accepted):
    command = command_line.commands["experiments"].commands[verb].commands[kind]
    flags = {flag for each in command.params for flag in each.opts}
    for parameter in accepted.parameters:
        if parameter.name == "progress":
            continue  # It is shown in a terminal.
        assert {f"--{camel(parameter.name)}", f"--{parameter.name.replace('_', '-')}"} <= flags


@pytest.mark.parametrize(
    "options",
    [
        HISTORICAL,
        ("--name", "n", "--project-id", "prx", "--machine-type", "K80", "--container", "c", "--command", "true"),
    ],
    ids=["historical", "modern"],
)
def test_create_prints_the_id_alone_on_stdout(cli, client, options):
    result = cli("experiments", "create", "singlenode", *options, "--experimentEnv", '{"A": 1}', "-e", "B=x=y")
    assert result.code == 0
    assert result.errors == "New experiment created with ID:\n"
    experiment = client.get(result.output.strip())
    assert (experiment.state, experiment.project_id, experiment.command) == (1, "prx", "true")
    assert experiment.experiment_env == {"A": 1, "B": "x=y"}


def test_a_multi_node_experiment_takes_its_type_by_name(cli, client):
    nodes = [
        (f"--{node}{part}", value)
        for node in ("worker", "parameterServer")
        for part, value in (("Container", "c"), ("MachineType", "K80"), ("Command", "true"), ("Count", "2"))
    ]
    result = cli(
        "experiments", "run", "multinode", "--name", "n", "--projectId", "p", "--experimentType", "grpc", "--no-logs",
        *(word for option in nodes for word in option),
    )  # fmt: skip
    assert result.code == 0, result.errors
    assert client.get(result.output.strip()).worker_count == 2


def test_missing_options_are_named_all_at_once(cli, server):
    result = cli("experiments", "create", "singlenode", "--name", "n", "--command", "true")
    assert (result.code, result.output) == (2, "")
    assert all(f"--{name}: missing" in result.errors for name in ("project-id", "machine-type", "container"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("experiments", "create", "singlenode", "--no-such-option"),
        ("experiments", "create", "singlenode", *HISTORICAL, "--experimentEnv", "{"),
        ("experiments", "create", "singlenode", *HISTORICAL, "--env", "no-equals-sign"),
        ("experiments", "create", "singlenode", *HISTORICAL, "--workspace", "/nowhere"),
        ("experiments", "create", "singlenode", *HISTORICAL, "--workspace", "/", "--workspaceUrl", "/"),
        ("experiments", "details"),
        ("experiments", "details", "es1", "es2"),
        ("experiments", "details", "../es1"),
        ("experiments", "list", "--state", "finished"),
        ("experiments", "delete", "--older-than", "soon"),
        ("experiments", "logs", "es1", "--line", "1", "--after", "1"),
        ("run",),
        ("no-such-command",),
    ],
)
def test_wrong_usage_ends_with_exit_code_2_and_sends_nothing(cli, client, arguments):
    result = cli(*arguments)
    assert (result.code, result.output) == (2, "")
    assert "Error: " in result.errors
    assert client.list() == []


def test_options_come_from_a_file_and_the_command_line_takes_precedence(cli, client, tmp_path):
    path = tmp_path / "options.yaml"
    assert cli("experiments", "create", "singlenode", "--createOptionsFile", str(path)).code == 0
    options = yaml.safe_load(path.read_text())
    assert set(options.values()) == {None}
    assert {"projectId", "experimentEnv", "isPreemptible"} <= options.keys()
    path.write_text(
        yaml.safe_dump({**options, **{camel(name): value for name, value in SINGLE.items()}, "experimentEnv": FAST})
    )
    result = cli("experiments", "create", "singlenode", "--name", "other", "--optionsFile", str(path))
    experiment = client.get(result.output.strip())
    assert (experiment.name, experiment.project_id, experiment.experiment_env) == ("other", SINGLE["project_id"], FAST)


@pytest.mark.parametrize("content", ["- a", "a: [", "noSuchOption: 1", None])
def test_a_file_with_options_that_cannot_be_used_is_wrong_usage(cli, server, tmp_path, content):
    path = tmp_path / "options.yaml"
    if content is not None:
        path.write_text(content)
    result = cli("experiments", "create", "singlenode", "--optionsFile", str(path))
    assert result.code == 2
    assert str(path) in result.errors


# Runs


@pytest.mark.parametrize(("outcome", "code"), [("stopped", 0), ("failed", 3), ("error", 3)])
def test_run_follows_the_log_and_ends_with_the_outcome(cli, server, outcome, code):
    env = ("-e", f"GRADIENT_MOCK_OUTCOME={outcome}", "-e", "GRADIENT_MOCK_LOG_LINES=3", "-e", "GRADIENT_MOCK_SECONDS=1")
    result = cli("run", *env, "--", "python", "train.py")
    assert result.code == code
    assert result.errors.startswith("Experiment es")
    assert ("has ended as" in result.errors) == bool(code)
    if outcome == "stopped":
        assert len(result.output.splitlines()) >= 3


def test_run_creates_an_experiment_with_defaults_from_words_or_a_shell_command(cli, client, tmp_path):
    (tmp_path / "train.py").touch()
    first = cli("run", "-d", "--workspace", str(tmp_path), "--", "echo", "two words", "$HOME")
    second = cli("run", "--detach", "--name", "named", "echo $HOME | cat")
    assert (first.errors, second.errors) == ("", "")
    words, shell = client.get(first.output.strip()), client.get(second.output.strip())
    assert words.command == "echo 'two words' '$HOME'"
    assert words.workspace_url.startswith(f"upload:{tmp_path.name}/")
    assert (words.name, words.project_id, words.container, words.machine_type) == (
        "echo 'two words' '$HOME'", "default", "none", "local",
    )  # fmt: skip
    assert (shell.name, shell.command) == ("named", "echo $HOME | cat")


def test_ctrl_c_detaches_and_prints_the_command_that_goes_on(client):
    experiment_id = made(client, env=SLOW)
    terminal = Terminal()
    process = subprocess.Popen(
        (*GRADIENT, "experiments", "logs", experiment_id, "-f"), stdout=terminal.end, stderr=terminal.end
    )
    terminal.wait_for("step 2/50", 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    terminal.wait_for(rf"gradient experiments logs {experiment_id} -f --after js[a-z0-9]+:[0-9]+")
    assert "Traceback" not in terminal.written
    assert client.get(experiment_id).state == ExperimentState.RUNNING


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_shows_colours_unless_no_color_is_set(client, no_color):
    made(client, start=False)
    terminal = Terminal()
    environment = {**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    for arguments in (("list",), ("details", "esunknown")):
        command = (*GRADIENT, "experiments", *arguments)
        subprocess.run(command, stdout=terminal.end, stderr=terminal.end, env=environment, timeout=30, check=False)
    terminal.wait_for("Experiment not found")
    assert ("\x1b[" in terminal.written) != bool(no_color)


def test_a_reader_that_has_gone_ends_it_quietly(client):
    experiment_id = made(client, env={**FAST, "GRADIENT_MOCK_LOG_LINES": 9000})
    client.wait(experiment_id)
    reader = f"{sys.executable} -m gradient_cli experiments logs {experiment_id} | head -n 1"
    found = subprocess.run(reader, shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert (len(found.stdout.splitlines()), found.stderr) == (1, "")


# Logs


def test_logs_prints_messages_and_nothing_else(cli, client):
    experiment_id = made(client)
    client.wait(experiment_id)
    rows = client.logs(experiment_id)
    assert cli("experiments", "logs", experiment_id).output.splitlines() == [row.message for row in rows]
    assert cli("experiments", "logs", "--experimentId", experiment_id, "--tail", "1").output == f"{rows[-1].message}\n"
    assert (
        cli("experiments", "logs", "--id", experiment_id, "--line", "1", "--limit", "1").output
        == f"{rows[1].message}\n"
    )
    timed = cli("experiments", "logs", experiment_id, "--timestamps").output
    assert timed.splitlines()[0] == f"{rows[0].timestamp}  {rows[0].message}"
    documents = [json.loads(line) for line in cli("experiments", "logs", experiment_id, "--json").output.splitlines()]
    assert documents == rows.to_dict()


@pytest.mark.parametrize("follow", [("-f",), ("--follow",), ("--follow", "true")])
def test_following_ends_with_the_outcome(cli, client, follow):
    experiment_id = made(client, env={**FAST, "GRADIENT_MOCK_OUTCOME": "failed"})
    assert cli("experiments", "logs", *follow, experiment_id).code == 3
    assert cli("experiments", "logs", "--follow", "false", experiment_id).code == 0


def test_logs_can_be_limited_to_a_node_and_go_on_after_a_cursor(cli, client):
    nodes = {
        f"{node}_{part}": value
        for node in ("worker", "parameter_server")
        for part, value in (("container", "c"), ("machine_type", "K80"), ("command", "true"), ("count", 1))
    }
    experiment_id = client.run_multi_node(
        name="n", project_id="p", experiment_type_id="GRPC", **nodes, experiment_env=FAST
    )
    rows = list(client.yield_logs(experiment_id))
    node = rows[0].node
    one = cli("experiments", "logs", experiment_id, "--node", node).output.splitlines()
    assert one == [f"{node}  {row.message}" for row in rows if row.node == node]
    cursor = ",".join(f"{row.job_id}:1" for row in rows if row.line == 1)
    rest = cli("experiments", "logs", experiment_id, "-f", "--after", cursor).output.splitlines()
    assert sorted(rest) == sorted(f"{row.node}  {row.message}" for row in rows if row.line > 1)


# Lists and details


def test_metrics_are_a_table_json_names_or_points_as_they_come(cli, client):
    experiment_id = made(client)
    client.wait(experiment_id)
    found = client.metrics(experiment_id)
    assert cli("experiments", "metrics", experiment_id).output == f"{found.pretty()}\n"
    assert json.loads(cli("experiments", "metrics", experiment_id, "--json").output) == found.to_dict()
    assert cli("experiments", "metrics", experiment_id, "--names").output == "loss\naccuracy\n"
    loss = found[:1]
    assert (
        cli("experiments", "metrics", "get", "--id", experiment_id, "--metric", "loss").output == f"{loss.pretty()}\n"
    )
    assert (
        cli("experiments", "metrics", "list", "--id", experiment_id, "--interval", "30s").output == "loss\naccuracy\n"
    )
    followed = cli("experiments", "metrics", experiment_id, "-f", "--name", "loss").output.splitlines()
    points = [(point.step, point.value) for point in loss[0].points]
    assert followed == [f"worker 0\t{step}\tloss\t{value:.6g}" for step, value in points]
    streamed = cli("experiments", "metrics", "stream", "--id", experiment_id, "--json").output.splitlines()
    assert len(streamed) == sum(series.total for series in found)
    nothing = cli("experiments", "metrics", experiment_id, "--name", "nothing")
    assert (nothing.code, "No metrics found" in nothing.errors) == (0, True)


def test_list_prints_ids_json_or_a_table(cli, client):
    assert cli("experiments", "list") == (0, "", "No experiments found\n")
    waiting, ended = made(client, start=False), made(client)
    client.wait(ended)
    assert cli("experiments", "list", "-q").output.split() == [ended, waiting]
    assert cli("experiments", "list", "-q", "--state", "created").output.split() == [waiting]
    assert cli("experiments", "list", "-q", "--limit", "1").output.split() == [ended]
    assert cli("experiments", "list", "-q", "--projectId", "other").output == ""
    found = json.loads(cli("experiments", "list", "--json").output)
    assert [each["id"] for each in found] == [ended, waiting]
    head, *lines = cli("experiments", "list").output.splitlines()
    assert head.split()[:2] == ["id", "name"]
    assert len(lines) == 2
    assert "\x1b" not in head + "".join(lines)


def test_watch_prints_the_list_again_when_it_changes_until_ctrl_c(client):
    terminal = Terminal()
    command = (*GRADIENT, "experiments", "list", "--watch")
    process = subprocess.Popen(command, stdin=terminal.end, stdout=terminal.end, stderr=terminal.end)
    terminal.wait_for("No experiments found", 30)
    experiment_id = made(client, start=False)
    terminal.wait_for(experiment_id)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "Traceback" not in terminal.written


def test_details_prints_a_table_or_json(cli, client):
    experiment_id = made(client, start=False)
    assert experiment_id in cli("experiments", "details", experiment_id).output
    assert json.loads(cli("experiments", "details", "--id", experiment_id, "--json").output)["id"] == experiment_id


def test_an_unknown_experiment_ends_with_exit_code_5(cli, server):
    for command in ("details", "logs", "start", "stop", "wait"):
        result = cli("experiments", command, "esunknown")
        assert (result.code, result.output) == (5, "")
        assert "Experiment not found" in result.errors


def test_a_wrong_key_ends_with_exit_code_1(cli, server):
    assert cli("experiments", "list", "--apiKey", "wrong").code == 1


# Start, wait, stop, delete


def test_start_and_wait_end_with_the_worst_outcome(cli, client):
    good, bad = made(client, start=False), made(client, start=False, env={**FAST, "GRADIENT_MOCK_OUTCOME": "failed"})
    assert cli("experiments", "start", good).code == 0
    assert cli("experiments", "start", "--id", bad, "--logs").code == 3
    result = cli("experiments", "wait", good, bad)
    assert result.code == 3
    assert [line.split()[:2] for line in result.output.splitlines()] == [[good, "stopped"], [bad, "failed:"]]


def test_wait_ends_with_124_after_its_timeout_and_with_0_in_the_named_state(cli, client):
    experiment_id = made(client, env=SLOW)
    assert cli("experiments", "wait", experiment_id, "--timeout", "0.1").code == 124
    assert cli("experiments", "wait", experiment_id, "--until", "running").code == 0


def test_stop_waits_on_request_and_a_canceled_experiment_ends_with_exit_code_4(cli, client):
    one, other = made(client, env=SLOW), made(client, env=SLOW)
    assert cli("experiments", "stop", one, other, "--wait").code == 0
    assert {client.state(one), client.state(other)} == {ExperimentState.CANCELLED}
    assert cli("experiments", "wait", one).code == 4
    assert cli("experiments", "stop", one).code == 1


def test_delete_without_a_terminal_needs_a_yes(cli, client):
    experiment_id = made(client, start=False)
    assert cli("experiments", "delete", experiment_id).code == 2
    assert [each.id for each in client.list()] == [experiment_id]
    assert cli("experiments", "delete", experiment_id, "-y").code == 0
    assert client.list() == []


def test_delete_goes_on_after_one_that_is_not_there(cli, client):
    experiment_id = made(client, start=False)
    assert cli("experiments", "delete", "esunknown", experiment_id, "-y").code == 5
    assert client.list() == []


def test_delete_chooses_by_state_and_age(cli, client):
    waiting, ended = made(client, start=False), made(client)
    client.wait(ended)
    assert cli("experiments", "delete", "--older-than", "1d", "-y").errors == "No experiments found\n"
    assert cli("experiments", "delete", "--state", "stopped", "-y").code == 0
    assert [each.id for each in client.list()] == [waiting]


def test_delete_asks_in_a_terminal(client):
    experiment_id = made(client, start=False)
    for answer, left in (("n", 1), ("y", 0)):
        terminal = Terminal()
        process = subprocess.Popen(
            (*GRADIENT, "experiments", "delete", experiment_id),
            stdin=terminal.end, stdout=terminal.end, stderr=terminal.end,
        )  # fmt: skip
        terminal.wait_for("Delete this experiment", 30)
        terminal.type(f"{answer}\n")
        process.wait(30)
        assert len(client.list()) == left


@pytest.mark.parametrize(
    ("removal", "text"),
    [
        (Removal(id="es1", is_done=True, freed=0), "Experiment deleted"),
        (
            Removal(id="es1", is_done=False, freed=4096),
            "Removing the files of es1\nExperiment deleted; its files are still being removed, freed 4.1 kB so far",
        ),
        (
            Removal(id="es1", is_done=True, freed=4096, reason="1 file is left (mounted)"),
            "Experiment deleted; freed 4.1 kB; 1 file is left (mounted)",
        ),
        (NotFoundError("Failed", status=404, method="GET", url="http://server/"), "Experiment deleted"),
    ],
    ids=["nothing", "not yet", "left over", "unknown to the server"],
)
def test_delete_says_what_is_left(cli, client, monkeypatch, removal, text):
    def answer(self, experiment_id, *, timeout):
        if isinstance(removal, NotFoundError):
            raise removal
        return removal

    monkeypatch.setattr(ExperimentsClient, "wait_for_removal", answer)
    experiment_id = made(client)
    result = cli("experiments", "delete", experiment_id, "-y")
    assert (result.code, result.errors.replace(experiment_id, "es1")) == (0, f"{text}\n")


def test_a_workspace_is_uploaded_without_ignored_files(cli, client, tmp_path):
    for name in ("train.py", "data.bin", "notes.txt"):
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "project" / name).write_bytes(name.encode())
    options = ("--workspace", str(tmp_path / "project"))
    create = ("experiments", "create", "singlenode", *HISTORICAL)
    urls = []
    for ignored in (
        ("--ignoreFiles", "*.bin, notes.txt"),
        ("--ignore-files", "notes.txt,*.bin"),
        ("--ignore-file", "*.bin", "--ignoreFile", "notes.txt"),
        (),
    ):
        created = cli(*create, *options, *ignored)
        assert created.code == 0, created.errors
        urls.append(client.get(created.output.strip()).workspace_url)
    assert urls[0] == urls[1] == urls[2] != urls[3]
    assert urls[0] == client.upload_workspace(tmp_path / "project", ignore_files="*.bin,notes.txt")


def test_the_historical_word_for_no_workspace_uploads_nothing(cli, client):
    created = cli("experiments", "create", "singlenode", *HISTORICAL, "--workspace", "none")
    assert client.get(created.output.strip()).workspace_url is None


def test_a_workspace_that_cannot_be_uploaded_is_an_error(cli, client, tmp_path):
    (tmp_path / "link").symlink_to("/etc")
    done = cli("run", "--workspace", str(tmp_path), "true")
    assert done.code == 1
    assert "link is a link to /etc, outside of the workspace" in done.errors
    assert client.list() == []
