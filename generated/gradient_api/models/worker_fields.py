# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="WorkerFields")


@_attrs_define
class WorkerFields:
    """Parameters of the workers of a multi node experiment.

    Attributes:
        worker_container (str | Unset): Worker container (dockerfile)
        worker_machine_type (str | Unset): Worker machine type
        worker_command (str | Unset): Worker command
        worker_count (int | Unset): Worker count
        worker_container_user (str | Unset): Worker container user
        worker_registry_username (str | Unset): Registry username for accessing private docker registry container if
            nessesary
        worker_registry_password (str | Unset): Registry password for accessing private docker registry container if
            nessesary
        worker_registry_url (str | Unset): Registry server URL for accessing private docker registry container if
            nessesary
    """

    worker_container: str | Unset = UNSET
    worker_machine_type: str | Unset = UNSET
    worker_command: str | Unset = UNSET
    worker_count: int | Unset = UNSET
    worker_container_user: str | Unset = UNSET
    worker_registry_username: str | Unset = UNSET
    worker_registry_password: str | Unset = UNSET
    worker_registry_url: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        worker_container = self.worker_container

        worker_machine_type = self.worker_machine_type

        worker_command = self.worker_command

        worker_count = self.worker_count

        worker_container_user = self.worker_container_user

        worker_registry_username = self.worker_registry_username

        worker_registry_password = self.worker_registry_password

        worker_registry_url = self.worker_registry_url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if worker_container is not UNSET:
            field_dict["workerContainer"] = worker_container
        if worker_machine_type is not UNSET:
            field_dict["workerMachineType"] = worker_machine_type
        if worker_command is not UNSET:
            field_dict["workerCommand"] = worker_command
        if worker_count is not UNSET:
            field_dict["workerCount"] = worker_count
        if worker_container_user is not UNSET:
            field_dict["workerContainerUser"] = worker_container_user
        if worker_registry_username is not UNSET:
            field_dict["workerRegistryUsername"] = worker_registry_username
        if worker_registry_password is not UNSET:
            field_dict["workerRegistryPassword"] = worker_registry_password
        if worker_registry_url is not UNSET:
            field_dict["workerRegistryUrl"] = worker_registry_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("workerContainer", UNSET) is None:
            del d["workerContainer"]
        if d.get("workerMachineType", UNSET) is None:
            del d["workerMachineType"]
        if d.get("workerCommand", UNSET) is None:
            del d["workerCommand"]
        if d.get("workerCount", UNSET) is None:
            del d["workerCount"]
        if d.get("workerContainerUser", UNSET) is None:
            del d["workerContainerUser"]
        if d.get("workerRegistryUsername", UNSET) is None:
            del d["workerRegistryUsername"]
        if d.get("workerRegistryPassword", UNSET) is None:
            del d["workerRegistryPassword"]
        if d.get("workerRegistryUrl", UNSET) is None:
            del d["workerRegistryUrl"]
        worker_container = d.pop("workerContainer", UNSET)

        worker_machine_type = d.pop("workerMachineType", UNSET)

        worker_command = d.pop("workerCommand", UNSET)

        worker_count = d.pop("workerCount", UNSET)

        worker_container_user = d.pop("workerContainerUser", UNSET)

        worker_registry_username = d.pop("workerRegistryUsername", UNSET)

        worker_registry_password = d.pop("workerRegistryPassword", UNSET)

        worker_registry_url = d.pop("workerRegistryUrl", UNSET)

        worker_fields = cls(
            worker_container=worker_container,
            worker_machine_type=worker_machine_type,
            worker_command=worker_command,
            worker_count=worker_count,
            worker_container_user=worker_container_user,
            worker_registry_username=worker_registry_username,
            worker_registry_password=worker_registry_password,
            worker_registry_url=worker_registry_url,
        )

        worker_fields.additional_properties = d
        return worker_fields

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
