# Derived from async_tags.py by `make generate`. Do not edit.
"""The tags of experiments or projects: read, replaced, and changed while others may change them, too.

The synchronous module is derived from this one by `make generate`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gradient_ext import LazyModule
from gradient_ext._json import as_array, as_object, require
from gradient_ext.errors import ConflictError

if TYPE_CHECKING:
    from gradient_api import models
    from gradient_api.api import tags as tags_api

    from gradient_ext.transport import Transport
else:
    models, tags_api = map(LazyModule, ("gradient_api.models", "gradient_api.api.tags"))

_MAX_CONFLICTS = 20
"""How often others may change the tags in between before that is an error."""


class Tags(NamedTuple):
    """The tags of one kind of entity."""

    transport: Transport
    api_url: str
    entity: str
    """The kind of what has the tags, as the contract names it: `experiment` or `project`."""

    def read(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the tags of entities by their ids."""
        return self.transport.call(
            lambda client: tags_api.get_tags.sync_detailed(
                client=client, entity=models.Entity(self.entity), entity_ids=[*ids]
            ),
            lambda answer: _names_of(ids, answer.additional_properties),
            base_url=self.api_url,
        )

    def write(
        self,
        entity_id: str,
        tags: Sequence[str],
        known: Sequence[str] | None = None,
        action: str = "Failed to update tags",
    ) -> None:
        """Replace the tags of an entity.

        :param str entity_id: its id
        :param tags: all its tags
        :param known: the tags that it must have before; None: any
        :param str action: what has failed if it fails, for the error

        :raises ConflictError: it has other tags than the known ones
        """
        body = models.TagsUpdate(entity=models.Entity(self.entity), entity_id=entity_id, tags=[*tags])
        if known is not None:
            body.known = [*known]
        key = str(uuid.uuid4())
        self.transport.call(
            lambda client: tags_api.update_tags.sync_detailed(client=client, body=body, idempotency_key=key),
            _names,
            action=action,
            base_url=self.api_url,
        )

    def change(self, entity_id: str, changed: Callable[[list[str]], list[str]]) -> None:
        """Change the tags of an entity; what others change at the same time is kept.

        :param str entity_id: its id
        :param changed: returns the tags that it shall have for those that it has
        """
        for conflicts in range(_MAX_CONFLICTS):
            known = (self.read([entity_id]))[entity_id]
            wanted = changed(known)
            if wanted == known:
                return
            try:
                self.write(entity_id, wanted, known)
            except ConflictError:
                if conflicts == _MAX_CONFLICTS - 1:
                    raise
            else:
                return


def _names_of(ids: Sequence[str], answer: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the names of the tags in an answer for each of these ids; those that it lacks have none."""
    found = {handle: _names(rows) for handle, rows in answer.items() if rows is not None}
    return {handle: found.get(handle, []) for handle in ids}


def _names(rows: object) -> list[str]:
    """Return the names of tags in the rows of an answer."""
    tags = [as_object(as_object(row).get("tag")) for row in as_array(rows)]
    return [require("string", tag.get("name"), "name") for tag in tags]
