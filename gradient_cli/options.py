"""Options derived from the contract, in the historical spelling (`--projectId`) and the modern one (`--project-id`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from gradient_api.parameters import Parameter, ParameterSet

from gradient_ext._json import is_mapping

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_SECRETS_ARE_VISIBLE = "; other users of this machine can see it while the command runs"
_ALREADY_SPELLED = "name"


class Command(click.Command):
    """A command whose options can come from a YAML file, as the historical command line had it.

    `--optionsFile PATH` reads options; those on the command line take precedence. `--createOptionsFile PATH` writes a
    file with all options of the command, without values.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        path = click.Path(dir_okay=False, path_type=Path)
        self.params += [
            click.Option(
                ["--optionsFile", "--options-file"],
                type=path,
                is_eager=True,
                expose_value=False,
                callback=_read_options_file,
                help="Read options from this YAML file.",
            ),
            click.Option(
                ["--createOptionsFile", "--create-options-file"],
                type=path,
                is_eager=True,
                expose_value=False,
                callback=_write_options_file,
                help="Write a YAML file with the options of this command, and exit.",
            ),
            click.Option(
                ["--apiKey", "--api-key", "api_key"],
                metavar="KEY",
                expose_value=False,
                callback=_keep_api_key,
                help="API key of this call" + _SECRETS_ARE_VISIBLE + ".",
            ),
        ]


class Group(click.Group):
    """A group of commands that take options from files."""

    command_class = Command
    group_class = type


def spellings(name: str, *, shortened: bool = False) -> list[str]:
    """Return the flags of a keyword: historical and modern.

    >>> spellings("project_id")
    ['--projectId', '--project-id']
    >>> spellings("experiment_type_id", shortened=True)
    ['--experimentTypeId', '--experiment-type-id', '--experimentType', '--experiment-type']

    :param str name: the keyword
    :param bool shortened: whether it may also be given without the `_id` at its end
    """
    first, *others = name.split("_")
    flags = [f"--{first}{''.join(map(str.capitalize, others))}", f"--{name.replace('_', '-')}"]
    if shortened:
        flags += spellings(name.removesuffix("_id"))
    return list(dict.fromkeys(flags))


def parameter_options(
    accepted: ParameterSet, *, without: Collection[str | None] = (), defaults: Mapping[str, str]
) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds an option for each keyword of an experiment.

    :param ParameterSet accepted: the keywords, as the contract has them
    :param without: the keywords that the command gives otherwise
    :param defaults: the keywords that the command has values for
    """

    def decorate(command: Decorated) -> Decorated:
        for parameter in reversed(accepted.parameters):
            if parameter.name not in without:
                command = _option(parameter, defaults.get(parameter.name))(command)
        return command

    return decorate


def given_parameters(accepted: ParameterSet, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of an experiment that are among the options of a command."""
    names = {parameter.name for parameter in accepted.parameters}
    given = {name: value for name, value in options.items() if name in names and value is not None}
    lists = {parameter.name for parameter in accepted.parameters if _is_list_of_texts(parameter)}
    return {name: value for name, value in given.items() if value or name not in lists}


def list_options(name: str, described: str) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds the options of a list of texts: `--tag X`, which may come again, and `--tags a,b`.

    :param str name: the name of the list
    :param str described: the help
    """

    def append(context: click.Context, option: click.Parameter, value: Sequence[str]) -> None:
        context.params[name] = [*(context.params.get(name) or ()), *value]

    def decorate(command: Decorated) -> Decorated:
        shared: Any = {"expose_value": False, "callback": append}
        one = click.option(*spellings(name.removesuffix("s")), multiple=True, help=described, **shared)
        several = click.option(*spellings(name), type=_Commas(), default=(), help="The same, with commas.", **shared)
        return one(several(command))

    return decorate


def _is_list_of_texts(parameter: Parameter) -> bool:
    return parameter.json_type == "array" and parameter.member_types == ("string",)


def _option(parameter: Parameter, default: str | None) -> Callable[[Decorated], Decorated]:
    flags = [*spellings(parameter.name, shortened=bool(parameter.aliases)), parameter.name]
    ending = f" [default: {default}]" if default else " [required]" if parameter.required else ""
    described = f"{parameter.description.rstrip('.')}{_SECRETS_ARE_VISIBLE if parameter.secret else ''}.{ending}"
    if _is_list_of_texts(parameter):
        return list_options(parameter.name, described)
    if parameter.json_type == "boolean":
        return click.option(*flags, is_flag=True, default=None, help=described)
    return click.option(*flags, type=_option_type(parameter), default=None, help=described)


def _option_type(parameter: Parameter) -> click.ParamType[Any]:
    if parameter.aliases:
        return _Alias(parameter)
    kinds: dict[str, click.ParamType[Any]] = {
        "integer": click.INT,
        "number": click.FLOAT,
        "object": _JSON,
        "array": _JSON,
    }
    return kinds.get(parameter.json_type, click.STRING)


class _Alias(click.ParamType[Any]):
    """A number that also has a name, such as GRPC."""

    name = "choice"

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self._parameter.aliases)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # The client checks it, so that its error names the choices.
        return int(value) if isinstance(value, str) and value.isdecimal() else value


class _JsonType(click.ParamType[Any]):
    """A JSON value, as text on the command line or as it is in an options file."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"it is not JSON: {error}", param, ctx)


class _Commas(click.ParamType[Any]):
    """Texts with commas between them, or a list of texts in an options file."""

    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[str]:
        texts = value.split(",") if isinstance(value, str) else value
        return [text.strip() for text in texts if text.strip()]


class Assignment(click.ParamType[Any]):
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return name and value."""
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name, text


_JSON = _JsonType()


def _keep_api_key(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta["api_key"] = value


def _read_options_file(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}", context, option) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path} is not YAML: {error}", context, option) from None
    if not is_mapping(content):
        raise click.BadParameter(
            f"{path} must hold names and values, as --createOptionsFile writes it", context, option
        )
    names = {flag.lstrip("-"): each for each in context.command.params for flag in (*each.opts, *each.secondary_opts)}
    names |= {each.name: each for each in context.command.params if each.name}
    unknown = [name for name in content if name not in names]
    if unknown:
        raise click.BadParameter(f"{path}: there is no option {unknown[0]!r}", context, option)
    given = {names[str(name)].name: value for name, value in content.items() if value is not None}
    context.default_map = {**(context.default_map or {}), **given}


def _write_options_file(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None or context.resilient_parsing:
        return
    eager = {each.name for each in context.command.params if each.is_eager}
    names = [each.opts[0].lstrip("-") for each in context.command.params if each.name not in eager]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("".join(f"{name}:\n" for name in names))
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", context, option) from None
    click.echo(f"The options are in {path}", err=True)
    context.exit()
