# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="MasterFields")


@_attrs_define
class MasterFields:
    """Parameters of the master of an MPI experiment, as later clients send them.

    Attributes:
        master_container (str | Unset): Master container (dockerfile)
        master_machine_type (str | Unset): Master machine type
        master_command (str | Unset): Master command
        master_count (int | Unset): Master count
        master_container_user (str | Unset): Master container user
        master_registry_username (str | Unset): Registry username for accessing private docker registry container if
            nessesary
        master_registry_password (str | Unset): Registry password for accessing private docker registry container if
            nessesary
        master_registry_url (str | Unset): Registry server URL for accessing private docker registry container if
            nessesary
    """

    master_container: str | Unset = UNSET
    master_machine_type: str | Unset = UNSET
    master_command: str | Unset = UNSET
    master_count: int | Unset = UNSET
    master_container_user: str | Unset = UNSET
    master_registry_username: str | Unset = UNSET
    master_registry_password: str | Unset = UNSET
    master_registry_url: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        master_container = self.master_container

        master_machine_type = self.master_machine_type

        master_command = self.master_command

        master_count = self.master_count

        master_container_user = self.master_container_user

        master_registry_username = self.master_registry_username

        master_registry_password = self.master_registry_password

        master_registry_url = self.master_registry_url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if master_container is not UNSET:
            field_dict["masterContainer"] = master_container
        if master_machine_type is not UNSET:
            field_dict["masterMachineType"] = master_machine_type
        if master_command is not UNSET:
            field_dict["masterCommand"] = master_command
        if master_count is not UNSET:
            field_dict["masterCount"] = master_count
        if master_container_user is not UNSET:
            field_dict["masterContainerUser"] = master_container_user
        if master_registry_username is not UNSET:
            field_dict["masterRegistryUsername"] = master_registry_username
        if master_registry_password is not UNSET:
            field_dict["masterRegistryPassword"] = master_registry_password
        if master_registry_url is not UNSET:
            field_dict["masterRegistryUrl"] = master_registry_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("masterContainer", UNSET) is None:
            del d["masterContainer"]
        if d.get("masterMachineType", UNSET) is None:
            del d["masterMachineType"]
        if d.get("masterCommand", UNSET) is None:
            del d["masterCommand"]
        if d.get("masterCount", UNSET) is None:
            del d["masterCount"]
        if d.get("masterContainerUser", UNSET) is None:
            del d["masterContainerUser"]
        if d.get("masterRegistryUsername", UNSET) is None:
            del d["masterRegistryUsername"]
        if d.get("masterRegistryPassword", UNSET) is None:
            del d["masterRegistryPassword"]
        if d.get("masterRegistryUrl", UNSET) is None:
            del d["masterRegistryUrl"]
        master_container = d.pop("masterContainer", UNSET)

        master_machine_type = d.pop("masterMachineType", UNSET)

        master_command = d.pop("masterCommand", UNSET)

        master_count = d.pop("masterCount", UNSET)

        master_container_user = d.pop("masterContainerUser", UNSET)

        master_registry_username = d.pop("masterRegistryUsername", UNSET)

        master_registry_password = d.pop("masterRegistryPassword", UNSET)

        master_registry_url = d.pop("masterRegistryUrl", UNSET)

        master_fields = cls(
            master_container=master_container,
            master_machine_type=master_machine_type,
            master_command=master_command,
            master_count=master_count,
            master_container_user=master_container_user,
            master_registry_username=master_registry_username,
            master_registry_password=master_registry_password,
            master_registry_url=master_registry_url,
        )

        master_fields.additional_properties = d
        return master_fields

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
