# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.error_body_details_type_1 import ErrorBodyDetailsType1
    from ..models.error_body_error_type_1 import ErrorBodyErrorType1


T = TypeVar("T", bound="ErrorBody")


@_attrs_define
class ErrorBody:
    """What was wrong. Historical servers had several shapes; all have one of these members.

    Attributes:
        error (ErrorBodyErrorType1 | str | Unset): What kind of error it is.
        details (ErrorBodyDetailsType1 | str | Unset): What exactly was wrong; an object names the members of the
            request.
        message (str | Unset): What was wrong, from the host of projects.
        status (int | Unset): The status of the response, from the host of projects.
    """

    error: ErrorBodyErrorType1 | str | Unset = UNSET
    details: ErrorBodyDetailsType1 | str | Unset = UNSET
    message: str | Unset = UNSET
    status: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.error_body_details_type_1 import ErrorBodyDetailsType1  # noqa: PLC0415
        from ..models.error_body_error_type_1 import ErrorBodyErrorType1  # noqa: PLC0415

        error: dict[str, Any] | str | Unset
        if isinstance(self.error, Unset):
            error = UNSET
        elif isinstance(self.error, ErrorBodyErrorType1):
            error = self.error.to_dict()
        else:
            error = self.error

        details: dict[str, Any] | str | Unset
        if isinstance(self.details, Unset):
            details = UNSET
        elif isinstance(self.details, ErrorBodyDetailsType1):
            details = self.details.to_dict()
        else:
            details = self.details

        message = self.message

        status = self.status

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if error is not UNSET:
            field_dict["error"] = error
        if details is not UNSET:
            field_dict["details"] = details
        if message is not UNSET:
            field_dict["message"] = message
        if status is not UNSET:
            field_dict["status"] = status

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.error_body_details_type_1 import ErrorBodyDetailsType1  # noqa: PLC0415
        from ..models.error_body_error_type_1 import ErrorBodyErrorType1  # noqa: PLC0415

        if not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)

        def _parse_error(data: object) -> ErrorBodyErrorType1 | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                error_type_1 = ErrorBodyErrorType1.from_dict(data)

                return error_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ErrorBodyErrorType1 | str | Unset, data)

        error = _parse_error(d.pop("error", UNSET))

        def _parse_details(data: object) -> ErrorBodyDetailsType1 | str | Unset:
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                details_type_1 = ErrorBodyDetailsType1.from_dict(data)

                return details_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ErrorBodyDetailsType1 | str | Unset, data)

        details = _parse_details(d.pop("details", UNSET))

        message = d.pop("message", UNSET)

        status = d.pop("status", UNSET)

        error_body = cls(
            error=error,
            details=details,
            message=message,
            status=status,
        )

        error_body.additional_properties = d
        return error_body

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
