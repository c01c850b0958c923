"""The list of runs: which of them a URL asks for, in which order, and what is in their columns."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlencode

from attrs import asdict, evolve, frozen
from gradient_api.constants import TERMINAL_STATES, ExperimentType
from gradient_api.constants import ExperimentState as State
from starlette.datastructures import QueryParams

from gradient_ext._json import is_object
from gradient_ext.experiments import experiment_from
from gradient_ext.redaction import escape_control_characters, redact, remove_escape_sequences
from gradient_ext.states import state_word
from gradient_server.api.operations import serialize_experiment
from gradient_server.clock import Clock
from gradient_server.runners.base import Run, entries_until
from gradient_server.store.records import Experiment
from gradient_server.store.store import Store

PAGE_SIZE = 100
"""How many runs are on a page."""
MAX_COLUMNS = 20
MAX_SELECTED = 30
"""How many runs can be compared; later ones are left out."""
PARAMETERS = ("project", "type", "machine", "container", "command")
"""Columns with a parameter of a run; others are `env:NAME` and `metric:NAME`."""
ALWAYS = ("name", "state", "created", "ran")
"""The columns that are always there."""
_DEFAULT_METRICS = 2
_MAX_TEXT = 500

Value = str | float
LastMetrics = Callable[[Run], Mapping[str, float]]


@frozen(kw_only=True)
class Query:
    """The query of a URL: filters, order, columns and selection. The attributes are the names in the URL.

    :param str q: words that each run has in its name, id, command, tags, note or environment
    :param str project: the project of the runs; empty: all
    :param str state: the word for their state; empty: all
    :param str tag: a tag of the runs; empty: all
    :param str sort: the column that they are sorted by; `-` before it: in descending order
    :param column: the columns that are chosen; None: the default
    :param run: the runs that are selected
    :param int offset: how many runs precede those on the page
    """

    q: str = ""
    project: str = ""
    state: str = ""
    tag: str = ""
    sort: str = "-created"
    column: tuple[str, ...] | None = None
    run: tuple[str, ...] = ()
    offset: int = 0

    @classmethod
    def read(cls, parameters: QueryParams) -> Self:
        """Return the query of a URL, without what cannot be meant."""
        texts = {name: parameters.get(name, "")[:_MAX_TEXT] for name in ("q", "project", "state", "tag")}
        sort, offset = parameters.get("sort", ""), parameters.get("offset", "")
        columns = dict.fromkeys(filter(_is_column, parameters.getlist("column")))
        return cls(
            **texts,
            sort=sort if sort.removeprefix("-") in ALWAYS or _is_column(sort) else cls().sort,
            column=tuple(columns)[:MAX_COLUMNS] if "column" in parameters else None,
            run=tuple(dict.fromkeys(filter(None, parameters.getlist("run"))))[:MAX_SELECTED],
            offset=int(offset) if offset.isascii() and offset.isdecimal() and len(offset) < 16 else 0,
        )

    def url(self, path: str, **changes: Any) -> str:
        """Return a URL with this query, and with what changes in it."""
        fields = asdict(evolve(self, **changes))
        given = {name: value for name, value in fields.items() if value != _DEFAULTS[name]}
        # No column at all is a choice, too.
        given |= {"column": fields["column"] or ("",)} if fields["column"] is not None else {}
        return f"{path}?{urlencode(given, doseq=True)}" if given else path


_DEFAULTS = asdict(Query())


@frozen(kw_only=True)
class Facts:
    """The facts about an experiment that change only when it is updated. Secrets are masked.

    :param body: the request that it was created with
    :param parameters: the columns of `PARAMETERS` that it has a value for
    :param environment: its environment variables
    :param str text: what is searched, in lower case
    """

    body: Mapping[str, Any]
    name: str
    project: str
    tags: tuple[str, ...]
    note: str
    parameters: Mapping[str, str]
    environment: Mapping[str, str]
    text: str


@frozen(kw_only=True)
class ListedRun:
    """A run as the list shows it.

    :param float created: its timestamp
    :param int state: its state
    :param float seconds: how long it ran, or has been running; None: it has not started
    :param bool is_running: whether it is running now
    :param str error: why it failed
    :param metrics: the last number of each metric
    """

    handle: str
    run: Run
    facts: Facts
    created: float
    state: int
    seconds: float | None
    is_running: bool
    error: str = ""
    metrics: Mapping[str, float] = {}

    def value(self, column: str) -> Value | None:
        """Return the value in a column; None: it has none."""
        kind, _, name = column.partition(":")
        match kind:
            case "name":
                return self.facts.name.casefold() or self.handle
            case "state":
                return state_word(self.state)
            case "created":
                return self.created
            case "ran":
                return self.seconds
            case "env":
                return self.facts.environment.get(name)
            case "metric":
                return self.metrics.get(name)
            case _:
                return self.facts.parameters.get(kind)


@frozen(kw_only=True)
class RunPage:
    """The runs that a page lists.

    :param runs: the runs
    :param int matching: how many runs match the query
    :param int total: how many runs there are
    :param columns: the columns between state and date
    :param offered: the columns that can be chosen
    :param projects: how many runs each project has; `states` and `tags` likewise
    :param project_names: the names of projects that have one
    :param bool is_simulated: whether a run on the page is simulated
    """

    runs: Sequence[ListedRun]
    matching: int
    total: int
    columns: tuple[str, ...]
    offered: tuple[str, ...]
    projects: Mapping[str, int]
    states: Mapping[str, int]
    tags: Mapping[str, int]
    project_names: Mapping[str, str]
    is_simulated: bool


class RunList:
    """Finds and sorts the runs of a server.

    :param Store store: the experiments
    :param Clock clock: the current time
    :param last_metrics: returns the last number of each metric of a run
    """

    def __init__(self, store: Store, clock: Clock, last_metrics: LastMetrics) -> None:
        self._store = store
        self._clock = clock
        self._last_metrics = last_metrics
        self._facts: dict[str, Facts] = {}

    async def page(self, query: Query) -> RunPage:
        """Return the page of the list that a query asks for."""
        runs = self._all()
        matching = [run for run in runs if _matches(run, query)]
        column, is_descending = query.sort.removeprefix("-"), query.sort.startswith("-")
        if column.startswith("metric:"):
            matching = await self._with_metrics(matching)
        if query.sort != "-created":  # they are
            matching = _sorted(matching, column, is_descending=is_descending)
        shown = await self._with_metrics(matching[query.offset : query.offset + PAGE_SIZE])
        metrics = [name for name, _ in Counter(name for run in shown for name in run.metrics).most_common()]
        projects = Counter(run.facts.project for run in runs)
        default = ["project"] * (len(projects) > 1) + [f"metric:{name}" for name in metrics[:_DEFAULT_METRICS]]
        columns = tuple(default) if query.column is None else query.column
        environment = sorted({name for run in runs for name in run.facts.environment}, key=str.casefold)
        offered = (*PARAMETERS, *map("env:{}".format, environment), *map("metric:{}".format, metrics))
        return RunPage(
            runs=shown,
            matching=len(matching),
            total=len(runs),
            columns=columns,
            offered=tuple(dict.fromkeys((*offered, *columns))),
            projects=projects,
            states=Counter(state_word(run.state) for run in runs),
            tags=Counter(tag for run in runs for tag in run.facts.tags),
            project_names=self._project_names(),
            is_simulated=any(run.run.is_simulated for run in shown),
        )

    async def selected(self, query: Query) -> list[ListedRun]:
        """Return the runs that a query selects, as far as there are such."""
        found = {run.handle: run for run in self._all()}
        return await self._with_metrics([found[handle] for handle in query.run if handle in found])

    def _all(self) -> list[ListedRun]:
        """Return all runs, the newest first, without their metrics and errors."""
        experiments, now = self._store.newest_first(), self._clock.now()
        self._facts = {found.handle: self._facts_of(found) for found in experiments}
        return [_listed(found, self._facts[found.handle], now) for found in experiments]

    def _facts_of(self, found: Experiment) -> Facts:
        known = self._facts.get(found.handle)
        return known if known and known.body is found.body else _read_facts(found, self._clock)

    async def _with_metrics(self, runs: Iterable[ListedRun]) -> list[ListedRun]:
        """Return runs with their metrics and errors. Other requests have their turn in between."""
        complete: list[ListedRun] = []
        for run in runs:
            metrics = run.metrics or self._last_metrics(run.run)
            error = readable(run.run.error(self._clock.now()) or "")
            complete.append(evolve(run, metrics=metrics, error=error))
            await asyncio.sleep(0)
        return complete

    def _project_names(self) -> dict[str, str]:
        return {handle: readable(project.body["name"]) for handle, project in self._store.projects().items()}


def differing(runs: Sequence[ListedRun]) -> list[str]:
    """Return the columns in which the parameters and the environment of runs differ."""
    columns = [*PARAMETERS, *dict.fromkeys(f"env:{name}" for run in runs for name in run.facts.environment)]
    return [column for column in columns if len({run.value(column) for run in runs}) > 1]


def has_numbers(runs: Sequence[ListedRun], column: str) -> bool:
    """Whether the values in a column are numbers, also where they are written as text."""
    keys = {_sort_key(value) for run in runs if (value := run.value(column)) is not None}
    return bool(keys) and all(key is None or not key[0] for key in keys)


def readable(text: str) -> str:
    """Return a text without escape sequences, with secrets redacted and control characters escaped."""
    return escape_control_characters(redact(remove_escape_sequences(text)))


def _is_column(name: str) -> bool:
    kind, separator, _ = name.removeprefix("-").partition(":")
    return kind in (("env", "metric") if separator else PARAMETERS) and len(name) <= _MAX_TEXT


def _read_facts(found: Experiment, clock: Clock) -> Facts:
    experiment = experiment_from(serialize_experiment(found, clock))
    values = experiment.to_dict()

    def variants(name: str) -> str:
        """Return the different values of a parameter and of its variants for kinds of nodes."""
        texts = [value for key, value in values.items() if key == name or key.endswith(f"_{name}")]
        return ", ".join(dict.fromkeys(readable(text) for text in texts if isinstance(text, str)))

    variables = values.get("experiment_env")
    items = variables.items() if is_object(variables) else ()
    environment = {readable(str(name)): readable(str(value)) for name, value in items}
    name, project, note = (readable(text or "") for text in (experiment.name, experiment.project_id, experiment.note))
    tags = tuple(map(readable, experiment.tags or ()))
    parameters = {
        "project": project,
        "type": ExperimentType.get_type_str(experiment.experiment_type_id),
        "machine": variants("machine_type"),
        "container": variants("container"),
        "command": variants("command"),
    }
    searched = [name, found.handle, project, parameters["command"], *tags, note]
    searched += [f"{name}={value}" for name, value in environment.items()]
    return Facts(
        body=found.body,
        name=name,
        project=project,
        tags=tags,
        note=note,
        parameters={column: value for column, value in parameters.items() if value},
        environment=environment,
        text="\n".join(searched).casefold(),
    )


def _listed(found: Experiment, facts: Facts, now: float) -> ListedRun:
    entered = entries_until(found.run.transitions, now)
    state = next(reversed(entered), State.CREATED)
    started = entered.get(State.RUNNING)
    end = entered.get(State.NETWORK_TEARING_DOWN, entered[state] if state in TERMINAL_STATES else None)
    return ListedRun(
        handle=found.handle,
        run=found.run,
        facts=facts,
        created=found.created,
        state=state,
        seconds=None if started is None else max(0.0, (now if end is None else end) - started),
        is_running=started is not None and end is None,
    )


def _matches(run: ListedRun, query: Query) -> bool:
    facts = run.facts
    return (
        query.project in ("", facts.project)
        and query.state in ("", state_word(run.state))
        and (not query.tag or query.tag in facts.tags)
        and all(word in facts.text for word in query.q.casefold().split())
    )


def _sorted(runs: Iterable[ListedRun], column: str, *, is_descending: bool) -> list[ListedRun]:
    """Return runs in the order of a column; those that have no value there come last in either order."""
    present = [(key, run) for run in runs if (key := _sort_key(run.value(column))) is not None]
    present.sort(key=lambda item: item[0], reverse=is_descending)
    found = {run.handle for _, run in present}
    return [run for _, run in present] + [run for run in runs if run.handle not in found]


def _sort_key(value: Value | None) -> tuple[bool, Value] | None:
    """Return a sort key: numbers come first, by size, also where they are written as text; None has no place."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return True, str(value).casefold()
    return None if math.isnan(number) else (False, number)
