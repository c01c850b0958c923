"""`gradient experiments`: create, run, start, stop, list, inspect, wait for, delete; read logs and metrics."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

import click
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS, ParameterSet

from gradient import (
    BaseExperiment,
    ExperimentList,
    ExperimentsClient,
    ExperimentState,
    LogRow,
    MetricPoint,
    MultiNodeExperiment,
)
from gradient_cli.options import (
    Assignment,
    Command,
    Group,
    given_parameters,
    list_options,
    parameter_options,
    spellings,
)
from gradient_cli.outcomes import ExitCode, exit_code_of_state
from gradient_cli.output import note, print_json, print_rows
from gradient_cli.targets import (
    AS_JSON,
    YES,
    act_on_each,
    confirm_deletion,
    delete_each,
    given_ids,
    id_options,
    opened,
    tags_commands,
)
from gradient_ext.logs import LogPosition
from gradient_ext.redaction import escape_control_characters, redact
from gradient_ext.retention import parse_age
from gradient_ext.states import has_ended, state_word

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_WATCH_INTERVAL = 2.0
_STATES = [
    ExperimentState.get_state_str(number) for number in vars(ExperimentState).values() if isinstance(number, int)
]
_ID = "experiment_id"
_NOUN = "an experiment"
_STATE = click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only in this state.")

_PATTERN = click.option("--pattern", metavar="PATTERN", help="Only those whose name fits, such as '*.pt'.")


class FollowingCommand(Command):
    """A command whose `--follow` may have a value, as the historical one had: `--follow true`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with `true` as the value of `--follow` unless it has another one."""
        joined: list[str] = []
        for argument in args:
            if argument in ("-f", "--follow"):
                joined.append("--follow=true")
            elif joined and joined[-1] == "--follow=true" and argument.lower() in ("true", "false"):
                joined[-1] = f"--follow={argument}"
            else:
                joined.append(argument)
        return super().parse_args(ctx, joined)


class MetricsCommand(Command):
    """A command that is also called as the historical group was: `metrics get`, `metrics list`, `metrics stream`."""

    _HISTORICAL: ClassVar[Mapping[str, list[str]]] = {"get": [], "list": ["--names"], "stream": ["--follow"]}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with an option in place of a historical command."""
        first, rest = args[:1], args[1:]
        return super().parse_args(ctx, [*self._HISTORICAL.get("".join(first), first), *rest])


class _Age(click.ParamType[timedelta]):
    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_age(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def client() -> ExperimentsClient:
    """Return a client with the key that the command line gives, if it gives one. It is closed with the command."""
    return opened(ExperimentsClient)


@click.group(cls=Group)
def experiments() -> None:
    """Create, run, start, stop, list and inspect experiments."""


@experiments.group(cls=Group)
def create() -> None:
    """Create an experiment without starting it; print its id."""


@experiments.group(cls=Group)
def run() -> None:
    """Create and start an experiment, and follow its log."""


def creating_options(
    accepted: ParameterSet, *, without: str | None = None, defaults: Mapping[str, str] | None = None
) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds the options of an experiment, `--env` and `--workspace`.

    :param ParameterSet accepted: the keywords of the experiment, as the contract has them
    :param str without: the keyword that the command gives otherwise
    :param defaults: the keywords that the command has values for
    """

    (workspace,) = (parameter for parameter in accepted.parameters if parameter.name == "workspace")

    def decorate(command: Decorated) -> Decorated:
        for decorator in (
            click.option("--vpc", is_flag=True, expose_value=False, hidden=True),  # historical
            click.option(
                "-e",
                "--env",
                "assignments",
                multiple=True,
                type=Assignment(),
                help="Environment variable of the command; can be given again.",
            ),
            click.option(
                "-w",
                "--workspace",
                metavar="PATH",
                help=f"{workspace.description}.",
            ),
            parameter_options(accepted, without=("workspace", "progress", without), defaults=defaults or {}),
        ):
            command = decorator(command)
        return command

    return decorate


def keywords_from(accepted: ParameterSet, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of an experiment from the options that `creating_options` adds."""
    keywords = given_parameters(accepted, options)
    if options["assignments"]:
        keywords["experiment_env"] = {**keywords.get("experiment_env", {}), **dict(options["assignments"])}
    if keywords.get("workspace") == "none":  # The historical command uploaded the current folder without this word.
        del keywords["workspace"]
    return {**keywords, "progress": sys.stderr.isatty()}


def follow(experiment_id: str, *, line: int = 0, after: str | Sequence[LogRow] | None = None, **shown: Any) -> ExitCode:
    """Print the rows of an experiment until it has ended, and return the exit code of its outcome.

    :param str experiment_id: the experiment
    :param int line: only rows after this line
    :param after: only rows after this cursor, or after these rows
    :param shown: keywords of `print_rows`
    """
    this = client()
    last: dict[str | None, LogRow] = {}
    if after is not None and not isinstance(after, str):
        last = {row.job_id: row for row in after}
    try:
        experiment = this.get(experiment_id)
        if experiment.remark:
            note(experiment.remark)
        nodes = isinstance(experiment, MultiNodeExperiment)
        for row in this.yield_logs(experiment_id, line, after=after, progress=sys.stderr.isatty()):
            print_rows([row], nodes=nodes, **shown)
            last[row.job_id] = row
        experiment = this.wait(experiment_id, raise_on_failure=False)
    except KeyboardInterrupt:
        cursor = f" --after {LogPosition.after(last.values())}" if last else ""
        note(f"\nThe experiment goes on; to follow it again:\n  gradient experiments logs {experiment_id} -f{cursor}")
        return ExitCode.INTERRUPTED
    code = exit_code_of_state(experiment.state)
    if code:
        is_shown = experiment.experiment_error in [row.message for row in last.values()]
        outcome = state_word(experiment.state) if is_shown else _outcome(experiment)
        note(f"Experiment {experiment_id} has ended as {outcome}")
    return code


def _outcome(experiment: BaseExperiment) -> str:
    word, reason = state_word(experiment.state), experiment.experiment_error
    return f"{word}: {escape_control_characters(redact(reason))}" if reason else word


def _create(suffix: str, accepted: ParameterSet, options: dict[str, Any]) -> None:
    experiment_id = getattr(client(), f"create_{suffix}")(**keywords_from(accepted, options))
    note("New experiment created with ID:")
    click.echo(experiment_id)


def _run(suffix: str, accepted: ParameterSet, options: dict[str, Any], *, no_logs: bool) -> None:
    experiment_id = getattr(client(), f"run_{suffix}")(**keywords_from(accepted, options))
    if no_logs:
        note("New experiment created and started with ID:")
        click.echo(experiment_id)
        return
    note(f"New experiment created and started with ID: {experiment_id}")
    click.get_current_context().exit(follow(experiment_id))


_NO_LOGS = click.option("--no-logs", is_flag=True, help="Do not follow the log; print the id on stdout.")


@create.command("singlenode")
@creating_options(SINGLE_NODE_PARAMETERS)
def create_single_node(**options: Any) -> None:
    """Create an experiment that runs on one machine."""
    _create("single_node", SINGLE_NODE_PARAMETERS, options)


@create.command("multinode")
@creating_options(MULTI_NODE_PARAMETERS)
def create_multi_node(**options: Any) -> None:
    """Create an experiment of workers and parameter servers, or with MPI."""
    _create("multi_node", MULTI_NODE_PARAMETERS, options)


@run.command("singlenode")
@_NO_LOGS
@creating_options(SINGLE_NODE_PARAMETERS)
def run_single_node(*, no_logs: bool, **options: Any) -> None:
    """Run an experiment on one machine; exit with its outcome."""
    _run("single_node", SINGLE_NODE_PARAMETERS, options, no_logs=no_logs)


@run.command("multinode")
@_NO_LOGS
@creating_options(MULTI_NODE_PARAMETERS)
def run_multi_node(*, no_logs: bool, **options: Any) -> None:
    """Run an experiment of workers and parameter servers, or with MPI; exit with its outcome."""
    _run("multi_node", MULTI_NODE_PARAMETERS, options, no_logs=no_logs)


@experiments.command(cls=FollowingCommand)
@id_options(_ID)
@click.option("-f", "--follow", "follows", type=click.BOOL, help="Follow the log to its end; exit with the outcome.")
@click.option("--tail", type=click.IntRange(min=1), help="Only the last rows, this many.")
@click.option("--line", type=click.IntRange(min=0), default=0, help="Only rows after this line.")
@click.option("--after", metavar="CURSOR", help="Follow from this cursor, which Ctrl-C has printed.")
@click.option("--limit", type=click.IntRange(min=1), default=10_000, help="The most rows.", show_default=True)
@click.option("--node", metavar="NAME", help='Only rows of this node, such as "worker 0".')
@click.option("--timestamps", is_flag=True, help="Print the time before each row.")
@AS_JSON
def logs(
    *,
    follows: bool | None,
    tail: int | None,
    line: int,
    after: str | None,
    limit: int,
    node: str | None,
    timestamps: bool,
    as_json: bool,
    **ids: Any,
) -> None:
    """Print the log of an experiment, or follow it."""
    (experiment_id,) = given_ids(ids, _NOUN)
    this, shown = client(), {"as_json": as_json, "timestamps": timestamps}
    if follows and tail is None:
        click.get_current_context().exit(follow(experiment_id, line=line, after=after, node=node, **shown))
    if after is not None:
        raise click.UsageError("--after goes with --follow, and not with --tail")
    rows = this.logs(experiment_id, line, limit, tail=tail)
    print_rows(rows, node=node, nodes=isinstance(this.get(experiment_id), MultiNodeExperiment), **shown)
    if follows:
        click.get_current_context().exit(follow(experiment_id, after=rows, node=node, **shown))
    if not rows:
        note("No logs found")


@experiments.command(cls=MetricsCommand)
@id_options(_ID)
@click.option("--name", "--metric", "names", multiple=True, metavar="NAME", help="Only this metric; can be repeated.")
@click.option("--names", "lists_names", is_flag=True, help="Print the names of the metrics.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Print each point as it comes, until the end.")
@click.option("--limit", type=click.IntRange(min=1), help="The most points of each series (with --json).")
@click.option("--interval", expose_value=False, hidden=True)  # historical
@AS_JSON
def metrics(
    *, names: Sequence[str], lists_names: bool, follows: bool, limit: int | None, as_json: bool, **ids: Any
) -> None:
    """Print the numbers that an experiment has printed or pushed: losses, accuracies, rewards."""
    (experiment_id,) = given_ids(ids, _NOUN)
    this, chosen = client(), list(names) or None
    if follows:
        for point in this.stream_metrics(experiment_id, chosen):
            click.echo(json.dumps(point.to_dict(), ensure_ascii=False) if as_json else _point_text(point))
        return
    found = this.metrics(experiment_id, chosen, limit=limit)
    if lists_names:
        existing = list(dict.fromkeys(series.name for series in found))
        if as_json:
            print_json(existing)
        else:
            click.echo("".join(f"{escape_control_characters(name)}\n" for name in existing), nl=False)
    elif as_json:
        print_json(found.to_dict())
    elif found:
        found.show()
    if not found and not as_json:
        note("No metrics found")


def _point_text(point: MetricPoint) -> str:
    step = "" if point.step is None else f"{point.step:g}" if isinstance(point.step, float) else f"{point.step}"
    name, node = (escape_control_characters(text or "") for text in (point.name, point.node))
    return f"{node}\t{step}\t{name}\t{point.value:.6g}"


@experiments.command("list")
@click.option("-p", *spellings("project_id"), "projects", multiple=True, metavar="ID", help="Only of this project.")
@list_options("tags", "Only with this tag, or one of these.")
@_STATE
@click.option("-l", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The most experiments.")
@click.option("-o", "--offset", type=click.IntRange(min=0), default=0, help="How many to skip first.")
@click.option("-q", "--quiet", is_flag=True, help="Print ids only.")
@click.option("--watch", is_flag=True, help="In a terminal, print the list again when it changes, until Ctrl-C.")
@AS_JSON
def list_experiments(*, quiet: bool, watch: bool, as_json: bool, **wanted: Any) -> None:
    """List experiments, newest first."""
    if not watch or not sys.stdout.isatty():
        _print_list(_find(client(), **wanted), quiet=quiet, as_json=as_json)
        return
    this, shown = client(), None
    while True:
        found = _find(this, **wanted)
        if (text := found.to_dict()) != shown:
            shown = text
            click.clear()
            _print_list(found, quiet=quiet, as_json=as_json)
        time.sleep(_WATCH_INTERVAL)


def _find(
    this: ExperimentsClient,
    *,
    projects: Sequence[str],
    tags: Sequence[str],
    states: Sequence[str],
    limit: int | None,
    offset: int,
) -> ExperimentList:
    found = this.list(list(projects) or None, tags=tags or None, limit=None if states else limit, offset=offset)
    chosen = [each for each in found if not states or state_word(each.state) in states]
    return ExperimentList(chosen[:limit])


def _print_list(found: ExperimentList, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(found.to_dict())
    elif quiet:
        for experiment in found:
            click.echo(experiment.id)
    elif found:
        found.show()
    else:
        note("No experiments found")


@experiments.command()
@id_options(_ID)
@AS_JSON
def details(*, as_json: bool, **ids: Any) -> None:
    """Print everything about an experiment."""
    (experiment_id,) = given_ids(ids, _NOUN)
    experiment = client().get(experiment_id)
    if as_json:
        print_json(experiment.to_dict())
    else:
        experiment.show()


@experiments.command("note")
@click.argument("experiment_id", metavar="ID")
@click.argument("text", required=False)
def change_note(*, experiment_id: str, text: str | None) -> None:
    """Replace the note of an experiment; print it if there is no TEXT. An empty TEXT removes it."""
    if text is None:
        found = client().get(experiment_id).note
        click.echo(escape_control_characters(found, multiline=True) if found else "No note")
    else:
        client().set_note(experiment_id, text)
        note("Note removed" if not text else "Note replaced")


experiments.add_command(tags_commands(ExperimentsClient, _ID, "experiment"))


@experiments.command()
@id_options(_ID, several=True)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds to wait at most (exit code 124).")
@click.option("--until", multiple=True, type=click.Choice(_STATES), help="Wait for this state instead of the end.")
def wait(*, timeout: float | None, until: Sequence[str], **ids: Any) -> None:
    """Wait for experiments to end; exit with the worst outcome."""
    this, codes = client(), [ExitCode.OK]
    deadline = None if timeout is None else time.monotonic() + timeout
    for experiment_id in given_ids(ids, _NOUN, several=True):
        left = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
        experiment = this.wait(
            experiment_id, timeout=left, until=until or None, raise_on_failure=False, progress=sys.stderr.isatty()
        )
        click.echo(f"{experiment_id}  {_outcome(experiment)}")
        codes.append(exit_code_of_state(experiment.state))
    click.get_current_context().exit(max(codes))


@experiments.command()
@id_options(_ID)
@click.option("--logs", "follows", is_flag=True, help="Follow the log; exit with the outcome.")
@click.option("--vpc", is_flag=True, expose_value=False, hidden=True)  # historical
def start(*, follows: bool, **ids: Any) -> None:
    """Start an experiment that was created."""
    (experiment_id,) = given_ids(ids, _NOUN)
    client().start(experiment_id)
    note("Experiment started")
    if follows:
        click.get_current_context().exit(follow(experiment_id))


@experiments.command()
@id_options(_ID, several=True)
@click.option("--wait", "waits", is_flag=True, help="Wait until they have ended.")
@click.option("--vpc", is_flag=True, expose_value=False, hidden=True)  # historical
def stop(*, waits: bool, **ids: Any) -> None:
    """Stop experiments."""
    this = client()

    def stop_one(experiment_id: str) -> None:
        this.stop(experiment_id)
        if waits:
            this.wait(experiment_id, raise_on_failure=False)

    act_on_each(given_ids(ids, _NOUN, several=True), stop_one, "Experiment stopped")


@experiments.command()
@id_options(_ID, several=True)
@_STATE
@click.option("--older-than", type=_Age(), metavar="AGE", help="Only those that ended this long ago: 30m, 12h, 7d.")
@YES
def delete(*, states: Sequence[str], older_than: timedelta | None, yes: bool, **ids: Any) -> None:
    """Delete experiments with their logs and files, and print what that has freed; running ones are ended first."""
    this = client()
    chosen = given_ids(ids, _NOUN, several=True, required=not states and older_than is None)
    if states or older_than is not None:
        among = [this.get(each) for each in chosen] if chosen else this.list()
        chosen = [each.id for each in among if _is_chosen(each, states, older_than)]
    if not chosen:
        note("No experiments found")
        return
    if not yes:
        confirm_deletion(chosen, "experiment", loses=" with logs and files")
    delete_each(this, chosen)


@experiments.group(cls=Group)
def artifacts() -> None:
    """List and download the files that an experiment writes."""


@artifacts.command("list")
@id_options(_ID)
@_PATTERN
@AS_JSON
def list_artifacts(*, pattern: str | None, as_json: bool, **ids: Any) -> None:
    """List the files in the artifact directory and the model path of an experiment."""
    (experiment_id,) = given_ids(ids, _NOUN)
    found = client().artifacts(experiment_id, pattern)
    if as_json:
        print_json(found.to_dict())
    elif found:
        found.show()
    else:
        note("No artifacts found")


@artifacts.command()
@id_options(_ID)
@_PATTERN
@click.option("-o", "--output", metavar="DIR", help="The folder to write to (default: one named like the experiment).")
def download(*, pattern: str | None, output: str | None, **ids: Any) -> None:
    """Download them, or go on with it; print the path of each."""
    (experiment_id,) = given_ids(ids, _NOUN)
    paths = client().download(experiment_id, output or experiment_id, pattern, progress=sys.stderr.isatty())
    for path in paths:
        click.echo(str(path))
    if not paths:
        note("No artifacts found")


def _is_chosen(experiment: BaseExperiment, states: Sequence[str], older_than: timedelta | None) -> bool:
    if states and state_word(experiment.state) not in states:
        return False
    if older_than is None:
        return True
    ended = experiment.dt_finished or experiment.dt_created
    return has_ended(experiment.state) and ended is not None and _age(ended) >= older_than


def _age(timestamp: str) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(timestamp)
