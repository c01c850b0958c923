# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ParameterServerFields")


@_attrs_define
class ParameterServerFields:
    """Parameters of the parameter servers of a multi node experiment.

    Attributes:
        parameter_server_container (str | Unset): Parameter server container
        parameter_server_machine_type (str | Unset): Parameter server machine type
        parameter_server_command (str | Unset): Parameter server command
        parameter_server_count (int | Unset): Parameter server count
        parameter_server_container_user (str | Unset): Parameter server container user
        parameter_server_registry_username (str | Unset): Registry username for accessing private docker registry
            container if nessesary
        parameter_server_registry_password (str | Unset): Registry password for accessing private docker registry
            container if nessesary
        parameter_server_registry_url (str | Unset): Registry server URL for accessing private docker registry container
            if nessesary
    """

    parameter_server_container: str | Unset = UNSET
    parameter_server_machine_type: str | Unset = UNSET
    parameter_server_command: str | Unset = UNSET
    parameter_server_count: int | Unset = UNSET
    parameter_server_container_user: str | Unset = UNSET
    parameter_server_registry_username: str | Unset = UNSET
    parameter_server_registry_password: str | Unset = UNSET
    parameter_server_registry_url: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        parameter_server_container = self.parameter_server_container

        parameter_server_machine_type = self.parameter_server_machine_type

        parameter_server_command = self.parameter_server_command

        parameter_server_count = self.parameter_server_count

        parameter_server_container_user = self.parameter_server_container_user

        parameter_server_registry_username = self.parameter_server_registry_username

        parameter_server_registry_password = self.parameter_server_registry_password

        parameter_server_registry_url = self.parameter_server_registry_url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if parameter_server_container is not UNSET:
            field_dict["parameterServerContainer"] = parameter_server_container
        if parameter_server_machine_type is not UNSET:
            field_dict["parameterServerMachineType"] = parameter_server_machine_type
        if parameter_server_command is not UNSET:
            field_dict["parameterServerCommand"] = parameter_server_command
        if parameter_server_count is not UNSET:
            field_dict["parameterServerCount"] = parameter_server_count
        if parameter_server_container_user is not UNSET:
            field_dict["parameterServerContainerUser"] = parameter_server_container_user
        if parameter_server_registry_username is not UNSET:
            field_dict["parameterServerRegistryUsername"] = parameter_server_registry_username
        if parameter_server_registry_password is not UNSET:
            field_dict["parameterServerRegistryPassword"] = parameter_server_registry_password
        if parameter_server_registry_url is not UNSET:
            field_dict["parameterServerRegistryUrl"] = parameter_server_registry_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("parameterServerContainer", UNSET) is None:
            del d["parameterServerContainer"]
        if d.get("parameterServerMachineType", UNSET) is None:
            del d["parameterServerMachineType"]
        if d.get("parameterServerCommand", UNSET) is None:
            del d["parameterServerCommand"]
        if d.get("parameterServerCount", UNSET) is None:
            del d["parameterServerCount"]
        if d.get("parameterServerContainerUser", UNSET) is None:
            del d["parameterServerContainerUser"]
        if d.get("parameterServerRegistryUsername", UNSET) is None:
            del d["parameterServerRegistryUsername"]
        if d.get("parameterServerRegistryPassword", UNSET) is None:
            del d["parameterServerRegistryPassword"]
        if d.get("parameterServerRegistryUrl", UNSET) is None:
            del d["parameterServerRegistryUrl"]
        parameter_server_container = d.pop("parameterServerContainer", UNSET)

        parameter_server_machine_type = d.pop("parameterServerMachineType", UNSET)

        parameter_server_command = d.pop("parameterServerCommand", UNSET)

        parameter_server_count = d.pop("parameterServerCount", UNSET)

        parameter_server_container_user = d.pop("parameterServerContainerUser", UNSET)

        parameter_server_registry_username = d.pop("parameterServerRegistryUsername", UNSET)

        parameter_server_registry_password = d.pop("parameterServerRegistryPassword", UNSET)

        parameter_server_registry_url = d.pop("parameterServerRegistryUrl", UNSET)

        parameter_server_fields = cls(
            parameter_server_container=parameter_server_container,
            parameter_server_machine_type=parameter_server_machine_type,
            parameter_server_command=parameter_server_command,
            parameter_server_count=parameter_server_count,
            parameter_server_container_user=parameter_server_container_user,
            parameter_server_registry_username=parameter_server_registry_username,
            parameter_server_registry_password=parameter_server_registry_password,
            parameter_server_registry_url=parameter_server_registry_url,
        )

        parameter_server_fields.additional_properties = d
        return parameter_server_fields

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
