# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewWorkspace")


@_attrs_define
class NewWorkspace:
    """A workspace of parts that were uploaded.

    Attributes:
        name (str): What it is called in its URL, such as the name of the folder.
        parts (list[str]): The SHA-256 of each part, in hexadecimal.
        size (int): The bytes of all parts.
        files (int | Unset): How many files, links and folders are in it. Left out where that is not known, as of an
            archive.
    """

    name: str
    parts: list[str]
    size: int
    files: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        parts = self.parts

        size = self.size

        files = self.files

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "parts": parts,
                "size": size,
            }
        )
        if files is not UNSET:
            field_dict["files"] = files

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        name = d.pop("name")

        parts = cast(list[str], d.pop("parts"))

        size = d.pop("size")

        files = d.pop("files", UNSET)

        new_workspace = cls(
            name=name,
            parts=parts,
            size=size,
            files=files,
        )

        new_workspace.additional_properties = d
        return new_workspace

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
