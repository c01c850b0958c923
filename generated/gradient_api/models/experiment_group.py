# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExperimentGroup")


@_attrs_define
class ExperimentGroup:
    """The experiments of one project. What has a handle is no group but an experiment.

    Attributes:
        data (list[Experiment]):
        meta (GroupMeta | None | Unset):
    """

    data: list[Experiment]
    meta: GroupMeta | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)

        meta: dict[str, Any] | None | Unset
        if isinstance(self.meta, Unset):
            meta = UNSET
        elif isinstance(self.meta, GroupMeta):
            meta = self.meta.to_dict()
        else:
            meta = self.meta

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "data": data,
            }
        )
        if meta is not UNSET:
            field_dict["meta"] = meta

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)

        _data = d.pop("data")
        if not isinstance(_data, list):
            raise TypeError(f"an array was expected, not {type(_data).__name__}")
        data = [Experiment.from_dict(data_item_data) for data_item_data in _data]

        _meta = d.pop("meta", UNSET)
        meta: GroupMeta | None | Unset = _meta
        if isinstance(_meta, dict):
            try:
                meta = GroupMeta.from_dict(_meta)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        experiment_group = cls(
            data=data,
            meta=meta,
        )

        experiment_group.additional_properties = d
        return experiment_group

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


from ..models.experiment import Experiment
from ..models.group_meta import GroupMeta
