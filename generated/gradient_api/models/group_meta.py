# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="GroupMeta")


@_attrs_define
class GroupMeta:
    """
    Attributes:
        item_group (ItemGroup | Unset):
        total_items (int | Unset): How many experiments of the project there are.
    """

    item_group: ItemGroup | Unset = UNSET
    total_items: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        item_group: dict[str, Any] | Unset = UNSET
        if not isinstance(self.item_group, Unset):
            item_group = self.item_group.to_dict()

        total_items = self.total_items

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if item_group is not UNSET:
            field_dict["itemGroup"] = item_group
        if total_items is not UNSET:
            field_dict["totalItems"] = total_items

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("itemGroup", UNSET) is None:
            del d["itemGroup"]
        if d.get("totalItems", UNSET) is None:
            del d["totalItems"]
        _item_group = d.pop("itemGroup", UNSET)
        item_group: ItemGroup | Unset
        if isinstance(_item_group, Unset):
            item_group = UNSET
        else:
            item_group = ItemGroup.from_dict(_item_group)

        total_items = d.pop("totalItems", UNSET)

        group_meta = cls(
            item_group=item_group,
            total_items=total_items,
        )

        group_meta.additional_properties = d
        return group_meta

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


from ..models.item_group import ItemGroup
