# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StateReading")


@_attrs_define
class StateReading:
    """
    Attributes:
        state (int): A state; numbers that this contract does not know are allowed.
        handle (str | Unset): The id of the experiment.
        experiment_error (None | str | Unset): What went wrong.
    """

    state: int
    handle: str | Unset = UNSET
    experiment_error: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        state = self.state

        handle = self.handle

        experiment_error: None | str | Unset
        if isinstance(self.experiment_error, Unset):
            experiment_error = UNSET
        else:
            experiment_error = self.experiment_error

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "state": state,
            }
        )
        if handle is not UNSET:
            field_dict["handle"] = handle
        if experiment_error is not UNSET:
            field_dict["experimentError"] = experiment_error

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        state = d.pop("state")

        handle = d.pop("handle", UNSET)

        def _parse_experiment_error(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        experiment_error = _parse_experiment_error(d.pop("experimentError", UNSET))

        state_reading = cls(
            state=state,
            handle=handle,
            experiment_error=experiment_error,
        )

        state_reading.additional_properties = d
        return state_reading

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
