# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExperimentList")


@_attrs_define
class ExperimentList:
    """
    Attributes:
        data (list[Experiment | ExperimentGroup]):
        message (str | Unset): Always `success`.
        meta (ListMeta | None | Unset):
    """

    data: list[Experiment | ExperimentGroup]
    message: str | Unset = UNSET
    meta: ListMeta | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        data = []
        for data_item_data in self.data:
            data_item: dict[str, Any]
            if isinstance(data_item_data, Experiment):
                data_item = data_item_data.to_dict()
            else:
                data_item = data_item_data.to_dict()

            data.append(data_item)

        message = self.message

        meta: dict[str, Any] | None | Unset
        if isinstance(self.meta, Unset):
            meta = UNSET
        elif isinstance(self.meta, ListMeta):
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
        if message is not UNSET:
            field_dict["message"] = message
        if meta is not UNSET:
            field_dict["meta"] = meta

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("message", UNSET) is None:
            del d["message"]

        def _parse_data_item(data: object) -> Experiment | ExperimentGroup:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                data_item_type_0 = Experiment.from_dict(data)

                return data_item_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            data_item_type_1 = ExperimentGroup.from_dict(data)

            return data_item_type_1

        _data = d.pop("data")
        if not isinstance(_data, list):
            raise TypeError(f"an array was expected, not {type(_data).__name__}")
        data = [_parse_data_item(data_item_data) for data_item_data in _data]

        message = d.pop("message", UNSET)

        _meta = d.pop("meta", UNSET)
        meta: ListMeta | None | Unset = _meta
        if isinstance(_meta, dict):
            try:
                meta = ListMeta.from_dict(_meta)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        experiment_list = cls(
            data=data,
            message=message,
            meta=meta,
        )

        experiment_list.additional_properties = d
        return experiment_list

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
from ..models.experiment_group import ExperimentGroup
from ..models.list_meta import ListMeta
