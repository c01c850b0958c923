# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="TemplateHistory")


@_attrs_define
class TemplateHistory:
    """The parameters of an experiment as they were stored.

    Attributes:
        id (int | None | Unset): Internal number.
        experiment_template_id (int | None | Unset): Internal number.
        dt_created (None | str | Unset): When the parameters were stored.
        dt_deleted (None | str | Unset): When they were deleted.
        trigger_event_id (int | None | Unset): Internal number.
        params (None | TemplateHistoryParamsType0 | Unset): The parameters that the experiment was created with,
            commands as text. Names come in snake case, or as requests have them, or both; older single node experiments
            carry their names with `worker_`.
    """

    id: int | None | Unset = UNSET
    experiment_template_id: int | None | Unset = UNSET
    dt_created: None | str | Unset = UNSET
    dt_deleted: None | str | Unset = UNSET
    trigger_event_id: int | None | Unset = UNSET
    params: None | TemplateHistoryParamsType0 | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id: int | None | Unset
        if isinstance(self.id, Unset):
            id = UNSET
        else:
            id = self.id

        experiment_template_id: int | None | Unset
        if isinstance(self.experiment_template_id, Unset):
            experiment_template_id = UNSET
        else:
            experiment_template_id = self.experiment_template_id

        dt_created: None | str | Unset
        if isinstance(self.dt_created, Unset):
            dt_created = UNSET
        else:
            dt_created = self.dt_created

        dt_deleted: None | str | Unset
        if isinstance(self.dt_deleted, Unset):
            dt_deleted = UNSET
        else:
            dt_deleted = self.dt_deleted

        trigger_event_id: int | None | Unset
        if isinstance(self.trigger_event_id, Unset):
            trigger_event_id = UNSET
        else:
            trigger_event_id = self.trigger_event_id

        params: dict[str, Any] | None | Unset
        if isinstance(self.params, Unset):
            params = UNSET
        elif isinstance(self.params, TemplateHistoryParamsType0):
            params = self.params.to_dict()
        else:
            params = self.params

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if experiment_template_id is not UNSET:
            field_dict["experimentTemplateId"] = experiment_template_id
        if dt_created is not UNSET:
            field_dict["dtCreated"] = dt_created
        if dt_deleted is not UNSET:
            field_dict["dtDeleted"] = dt_deleted
        if trigger_event_id is not UNSET:
            field_dict["triggerEventId"] = trigger_event_id
        if params is not UNSET:
            field_dict["params"] = params

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        id = d.pop("id", UNSET)

        experiment_template_id = d.pop("experimentTemplateId", UNSET)

        dt_created = d.pop("dtCreated", UNSET)

        dt_deleted = d.pop("dtDeleted", UNSET)

        trigger_event_id = d.pop("triggerEventId", UNSET)

        _params = d.pop("params", UNSET)
        params: None | TemplateHistoryParamsType0 | Unset = _params
        if isinstance(_params, dict):
            try:
                params = TemplateHistoryParamsType0.from_dict(_params)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        template_history = cls(
            id=id,
            experiment_template_id=experiment_template_id,
            dt_created=dt_created,
            dt_deleted=dt_deleted,
            trigger_event_id=trigger_event_id,
            params=params,
        )

        template_history.additional_properties = d
        return template_history

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


from ..models.template_history_params_type_0 import TemplateHistoryParamsType0
