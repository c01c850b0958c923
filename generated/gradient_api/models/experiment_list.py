# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.list_meta import ListMeta


T = TypeVar("T", bound="ExperimentList")


@_attrs_define
class ExperimentList:
    """
    Attributes:
        data (list[Any]):
        message (str | Unset): Always `success`.
        meta (ListMeta | None | Unset):
    """

    data: list[Any]
    message: str | Unset = UNSET
    meta: ListMeta | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.list_meta import ListMeta  # noqa: PLC0415

        data = self.data

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
        from ..models.list_meta import ListMeta  # noqa: PLC0415

        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        data = cast(list[Any], d.pop("data"))

        message = d.pop("message", UNSET)

        def _parse_meta(data: object) -> ListMeta | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                meta_type_0 = ListMeta.from_dict(data)

                return meta_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ListMeta | None | Unset, data)

        meta = _parse_meta(d.pop("meta", UNSET))

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
