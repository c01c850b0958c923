# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewProject")


@_attrs_define
class NewProject:
    """A new project.

    Attributes:
        name (str): Name of the project
        repo_name (str | Unset): Name of the repository
        repo_url (str | Unset): URL of the repository
        tags (list[str] | Unset): Tags by which projects are found again, each of up to 100 characters
    """

    name: str
    repo_name: str | Unset = UNSET
    repo_url: str | Unset = UNSET
    tags: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        repo_name = self.repo_name

        repo_url = self.repo_url

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
            }
        )
        if repo_name is not UNSET:
            field_dict["repoName"] = repo_name
        if repo_url is not UNSET:
            field_dict["repoUrl"] = repo_url
        if tags is not UNSET:
            field_dict["tags"] = tags

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        name = d.pop("name")

        repo_name = d.pop("repoName", UNSET)

        repo_url = d.pop("repoUrl", UNSET)

        tags = cast(list[str], d.pop("tags", UNSET))

        new_project = cls(
            name=name,
            repo_name=repo_name,
            repo_url=repo_url,
            tags=tags,
        )

        new_project.additional_properties = d
        return new_project

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
