# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Error")


@_attrs_define
class Error:
    """What was wrong. Historical servers had several shapes; all have one of these members.

    Attributes:
        error (ErrorErrorType1 | str | Unset): What kind of error it is.
        details (ErrorDetailsType1 | str | Unset): What exactly was wrong; an object names the members of the request.
    """

    error: ErrorErrorType1 | str | Unset = UNSET
    details: ErrorDetailsType1 | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        error: dict[str, Any] | str | Unset
        if isinstance(self.error, Unset):
            error = UNSET
        elif isinstance(self.error, ErrorErrorType1):
            error = self.error.to_dict()
        else:
            error = self.error

        details: dict[str, Any] | str | Unset
        if isinstance(self.details, Unset):
            details = UNSET
        elif isinstance(self.details, ErrorDetailsType1):
            details = self.details.to_dict()
        else:
            details = self.details

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if error is not UNSET:
            field_dict["error"] = error
        if details is not UNSET:
            field_dict["details"] = details

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("error", UNSET) is None:
            del d["error"]
        if d.get("details", UNSET) is None:
            del d["details"]
        _error = d.pop("error", UNSET)
        error: ErrorErrorType1 | str | Unset = _error
        if isinstance(_error, dict):
            try:
                error = ErrorErrorType1.from_dict(_error)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        _details = d.pop("details", UNSET)
        details: ErrorDetailsType1 | str | Unset = _details
        if isinstance(_details, dict):
            try:
                details = ErrorDetailsType1.from_dict(_details)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        error = cls(
            error=error,
            details=details,
        )

        error.additional_properties = d
        return error

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


from ..models.error_details_type_1 import ErrorDetailsType1
from ..models.error_error_type_1 import ErrorErrorType1
