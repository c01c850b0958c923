"""The targets of a command: a client, and the ids of experiments or projects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gradient import ExperimentsClient, GradientSdkError, ProjectsClient, Removal
from gradient_cli.options import Group, list_options, spellings
from gradient_cli.outcomes import ExitCode, exit_code_of_error, print_error
from gradient_cli.output import note
from gradient_ext.display.tables import size_text
from gradient_ext.redaction import escape_control_characters

Client = TypeVar("Client", ExperimentsClient, ProjectsClient)
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_REMOVAL_TIMEOUT = 60.0
"""Seconds to wait for the removal of the files of one experiment."""
_QUIET_SECONDS = 2.0
"""Seconds after which a message says what is waited for."""
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def opened(kind: type[Client]) -> Client:
    """Return a client with the key that the command line gives, if it gives one. It is closed with the command."""
    context = click.get_current_context()
    return context.with_resource(kind(context.meta.get("api_key")))


def id_options(keyword: str, *, several: bool = False) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds an id, or several: as argument, as `--id`, or in the spellings of a keyword."""

    def decorate(command: Decorated) -> Decorated:
        flags = ["--id", *spellings(keyword), "id_option"]
        option = click.option(*flags, metavar="ID", multiple=True, help="The same as ID.")
        argument = click.argument("id_arguments", metavar="ID..." if several else "ID", nargs=-1)
        return argument(option(command))

    return decorate


def given_ids(options: dict[str, Any], noun: str, *, several: bool = False, required: bool = True) -> list[str]:
    """Take the ids that `id_options` added out of the options of a command.

    :param options: the options
    :param str noun: what has the ids, for the error
    :param bool several: whether there may be more than one
    :param bool required: whether there must be one
    """
    given = list(dict.fromkeys((*options.pop("id_arguments"), *options.pop("id_option"))))
    if (required and not given) or (len(given) > 1 and not several):
        raise click.UsageError(f"Give the id of {noun}" if not given else "Give one id")
    return given


def tags_commands(kind: type[Client], keyword: str, noun: str) -> click.Group:
    """Return the group of commands that change tags.

    :param kind: the client of what has the tags
    :param str keyword: the keyword of its id
    :param str noun: what it is
    """

    @click.group("tags", cls=Group, help=f"Add and remove tags of {noun}s.")
    def tags() -> None:
        pass

    def command(name: str, method: str, done: str) -> None:
        @tags.command(name, help=f"{name.capitalize()} tags of {noun}s.")
        @id_options(keyword, several=True)
        @list_options("tags", "A tag; can be given again.")
        def change(*, tags: Sequence[str], **ids: Any) -> None:
            chosen = given_ids(ids, f"the {noun}", several=True)
            if not tags:
                raise click.UsageError("Give a tag: --tag baseline")
            act_on_each(chosen, lambda each: getattr(opened(kind), method)(each, tags), f"Tags {done} {noun}")

    command("add", "add_tags", "added to")
    command("remove", "remove_tags", "removed from")
    return tags


def confirm_deletion(ids: Sequence[str], noun: str, *, loses: str = "", is_shown: bool = False) -> None:
    """Ask whether to delete, in a terminal; elsewhere raise the usage error that names `--yes`.

    :param ids: what would be deleted
    :param str noun: what that is
    :param str loses: what else would be lost
    :param bool is_shown: whether that has been printed
    """
    if not sys.stdin.isatty():
        raise click.UsageError(f"This would delete {', '.join(ids)}; with --yes it does")
    for each in ids if not is_shown else ():
        note(each)
    what = f"this {noun}" if len(ids) == 1 else f"these {len(ids)} {noun}s"
    click.confirm(f"Delete {what}{loses}?", abort=True, err=True)


def delete_each(client: ExperimentsClient, ids: Sequence[str]) -> None:
    """Delete experiments, wait until their files are removed, print what that has freed, and exit.

    :param client: the client
    :param ids: the experiments; those that cannot be deleted do not keep it from the others
    """
    code, deleted, freed = ExitCode.OK, list[str](), 0
    for each in ids:
        try:
            client.delete(each)
        except GradientSdkError as error:
            code = max(code, exit_code_of_error(error))
            print_error(error)
        else:
            deleted.append(each)
    for each in deleted:
        removal = _removal(client, each)
        freed += removal.freed if removal else 0
        note(f"Experiment deleted{f': {each}' if len(ids) > 1 else ''}{_removal_text(removal)}")
    if len(deleted) > 1 and freed:
        note(f"Freed {size_text(freed)}")
    click.get_current_context().exit(code)


def _removal(client: ExperimentsClient, experiment_id: str) -> Removal | None:
    try:
        removal = client.wait_for_removal(experiment_id, timeout=_QUIET_SECONDS)
        if removal.is_done:
            return removal
        note(f"Removing the files of {experiment_id}")
        return client.wait_for_removal(experiment_id, timeout=_REMOVAL_TIMEOUT)
    except GradientSdkError:  # It is deleted; the server cannot say more.
        return None


def _removal_text(removal: Removal | None) -> str:
    if removal is None:
        return ""
    if not removal.is_done:
        return f"; its files are still being removed, freed {size_text(removal.freed)} so far"
    text = f"; freed {size_text(removal.freed)}" if removal.freed else ""
    return text + (f"; {escape_control_characters(removal.reason)}" if removal.reason else "")


def act_on_each(ids: Sequence[str], act: Callable[[str], object], done: str) -> None:
    """Call a function for each id, and exit; those that fail do not keep it from the others.

    :param ids: the ids
    :param act: what to do with each
    :param str done: what to print after each
    """
    code = ExitCode.OK
    for each in ids:
        try:
            act(each)
        except GradientSdkError as error:
            code = max(code, exit_code_of_error(error))
            print_error(error)
        else:
            note(f"{done}: {each}" if len(ids) > 1 else done)
    click.get_current_context().exit(code)
