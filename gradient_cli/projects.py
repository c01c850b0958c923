"""`gradient projects`: create, list, inspect and delete projects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from gradient_api.parameters import PROJECT_PARAMETERS

from gradient import ProjectsClient
from gradient_cli.options import Group, given_parameters, list_options, parameter_options
from gradient_cli.output import note, print_json
from gradient_cli.targets import (
    AS_JSON,
    YES,
    act_on_each,
    confirm_deletion,
    given_ids,
    id_options,
    opened,
    tags_commands,
)

_ID = "project_id"
_NOUN = "a project"


@click.group(cls=Group)
def projects() -> None:
    """Create, list, inspect and delete projects, which group experiments."""


@projects.command()
@parameter_options(PROJECT_PARAMETERS, defaults={})
def create(**options: Any) -> None:
    """Create a project; print its id."""
    keywords: Any = {"name": None, **given_parameters(PROJECT_PARAMETERS, options)}
    project_id = opened(ProjectsClient).create(**keywords)
    note("Project created with ID:")
    click.echo(project_id)


@projects.command("list")
@list_options("tags", "Only with this tag, or one of these.")
@click.option("-q", "--quiet", is_flag=True, help="Print ids only.")
@AS_JSON
def list_projects(*, tags: Sequence[str], quiet: bool, as_json: bool) -> None:
    """List projects, newest first: those that were created, and those that experiments name."""
    found = opened(ProjectsClient).list(tags or None)
    if as_json:
        print_json(found.to_dict())
    elif quiet:
        for project in found:
            click.echo(project.id)
    elif found:
        found.show()
    else:
        note("No projects found")


@projects.command()
@id_options(_ID)
@AS_JSON
def details(*, as_json: bool, **ids: Any) -> None:
    """Print everything about a project."""
    (project_id,) = given_ids(ids, _NOUN)
    project = opened(ProjectsClient).get(project_id)
    if as_json:
        print_json(project.to_dict())
    else:
        project.show()


@projects.command()
@id_options(_ID, several=True)
@YES
def delete(*, yes: bool, **ids: Any) -> None:
    """Delete projects that have no experiments."""
    chosen = given_ids(ids, _NOUN, several=True)
    if not yes:
        confirm_deletion(chosen, "project")
    act_on_each(chosen, opened(ProjectsClient).delete, "Project deleted")


projects.add_command(tags_commands(ProjectsClient, _ID, "project"))
