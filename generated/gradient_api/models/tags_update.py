# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.entity import Entity
from ..types import UNSET, Unset

T = TypeVar("T", bound="TagsUpdate")


@_attrs_define
class TagsUpdate:
    """The tags that an experiment or project shall have, instead of those that it has.

    Attributes:
        entity (Entity): What can have tags.
        entity_id (str): The id of the experiment or project.
        tags (list[str]): All its tags; one that is given twice counts once.
        known (list[str] | Unset): The tags that were read last, so that nobody undoes what others change at the same
            time: if it has others by now, nothing is done (409). An extension; servers that do not know it replace the tags
            anyway.
    """

    entity: Entity
    entity_id: str
    tags: list[str]
    known: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        entity = self.entity.value

        entity_id = self.entity_id

        tags = self.tags

        known: list[str] | Unset = UNSET
        if not isinstance(self.known, Unset):
            known = self.known

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "entity": entity,
                "entityId": entity_id,
                "tags": tags,
            }
        )
        if known is not UNSET:
            field_dict["known"] = known

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        entity = Entity(d.pop("entity"))

        entity_id = d.pop("entityId")

        tags = cast(list[str], d.pop("tags"))

        known = cast(list[str], d.pop("known", UNSET))

        tags_update = cls(
            entity=entity,
            entity_id=entity_id,
            tags=tags,
            known=known,
        )

        tags_update.additional_properties = d
        return tags_update

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
