# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="LogRow")


@_attrs_define
class LogRow:
    """
    Attributes:
        line (int): Number of the row within its job, from 1.
        message (str): The text; `PSEOF` in the last row of a job.
        timestamp (str): When it was printed, in UTC; trailing zeros of the fraction are left out.
        job_id (None | str | Unset): The job that printed it.
    """

    line: int
    message: str
    timestamp: str
    job_id: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        line = self.line

        message = self.message

        timestamp = self.timestamp

        job_id: None | str | Unset
        if isinstance(self.job_id, Unset):
            job_id = UNSET
        else:
            job_id = self.job_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "line": line,
                "message": message,
                "timestamp": timestamp,
            }
        )
        if job_id is not UNSET:
            field_dict["jobId"] = job_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        line = d.pop("line")

        message = d.pop("message")

        timestamp = d.pop("timestamp")

        job_id = d.pop("jobId", UNSET)

        log_row = cls(
            line=line,
            message=message,
            timestamp=timestamp,
            job_id=job_id,
        )

        log_row.additional_properties = d
        return log_row

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
