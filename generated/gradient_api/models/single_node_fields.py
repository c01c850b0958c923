# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="SingleNodeFields")


@_attrs_define
class SingleNodeFields:
    """Parameters of an experiment that runs on one machine.

    Attributes:
        container (str | Unset): Container (dockerfile)
        machine_type (str | Unset): Machine type
        command (str | Unset): Container entrypoint command
        container_user (str | Unset): Container user for running the specified command in the container. If no
            containerUser is specified, the user will default to 'root' in the container.
        registry_username (str | Unset): Registry username for accessing private docker registry container if nessesary
        registry_password (str | Unset): Registry password for accessing private docker registry container if nessesary
        registry_url (str | Unset): Registry server URL for accessing private docker registry container if nessesary
    """

    container: str | Unset = UNSET
    machine_type: str | Unset = UNSET
    command: str | Unset = UNSET
    container_user: str | Unset = UNSET
    registry_username: str | Unset = UNSET
    registry_password: str | Unset = UNSET
    registry_url: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        container = self.container

        machine_type = self.machine_type

        command = self.command

        container_user = self.container_user

        registry_username = self.registry_username

        registry_password = self.registry_password

        registry_url = self.registry_url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if container is not UNSET:
            field_dict["container"] = container
        if machine_type is not UNSET:
            field_dict["machineType"] = machine_type
        if command is not UNSET:
            field_dict["command"] = command
        if container_user is not UNSET:
            field_dict["containerUser"] = container_user
        if registry_username is not UNSET:
            field_dict["registryUsername"] = registry_username
        if registry_password is not UNSET:
            field_dict["registryPassword"] = registry_password
        if registry_url is not UNSET:
            field_dict["registryUrl"] = registry_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("container", UNSET) is None:
            del d["container"]
        if d.get("machineType", UNSET) is None:
            del d["machineType"]
        if d.get("command", UNSET) is None:
            del d["command"]
        if d.get("containerUser", UNSET) is None:
            del d["containerUser"]
        if d.get("registryUsername", UNSET) is None:
            del d["registryUsername"]
        if d.get("registryPassword", UNSET) is None:
            del d["registryPassword"]
        if d.get("registryUrl", UNSET) is None:
            del d["registryUrl"]
        container = d.pop("container", UNSET)

        machine_type = d.pop("machineType", UNSET)

        command = d.pop("command", UNSET)

        container_user = d.pop("containerUser", UNSET)

        registry_username = d.pop("registryUsername", UNSET)

        registry_password = d.pop("registryPassword", UNSET)

        registry_url = d.pop("registryUrl", UNSET)

        single_node_fields = cls(
            container=container,
            machine_type=machine_type,
            command=command,
            container_user=container_user,
            registry_username=registry_username,
            registry_password=registry_password,
            registry_url=registry_url,
        )

        single_node_fields.additional_properties = d
        return single_node_fields

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
