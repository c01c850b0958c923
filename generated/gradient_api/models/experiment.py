# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.experiment_state import ExperimentState
from ..models.experiment_type import ExperimentType
from ..types import UNSET, Unset

T = TypeVar("T", bound="Experiment")


@_attrs_define
class Experiment:
    """
    Attributes:
        handle (str): The id of the experiment.
        experiment_type_id (ExperimentType | int): A kind of experiment; numbers that this contract does not know are
            allowed.
        state (ExperimentState | int): How far the experiment has come.
        id (int | Unset): Internal number.
        project_handle (None | str | Unset): The project.
        project_id (int | None | Unset): Internal number of the project.
        started_by_user_id (int | None | Unset): Internal number of the user.
        experiment_template_id (int | None | Unset): Internal number.
        experiment_template_history_id (int | None | Unset): Internal number.
        experiment_error (None | str | Unset): What went wrong, in words; none where nothing did.
        dt_created (None | str | Unset): When it was created; six digits of a second and `+00:00`.
        dt_modified (None | str | Unset): When it was last changed.
        dt_provisioning_started (None | str | Unset): When the machines began to be set up.
        dt_provisioning_finished (None | str | Unset): When the machines were ready.
        dt_started (None | str | Unset): When the command began to run.
        dt_teardown_started (None | str | Unset): When the machines began to be given back.
        dt_teardown_finished (None | str | Unset): When the machines had been given back.
        dt_finished (None | str | Unset): When the command ended.
        dt_deleted (None | str | Unset): When it was deleted.
        template_history (None | TemplateHistory | Unset):
    """

    handle: str
    experiment_type_id: ExperimentType | int
    state: ExperimentState | int
    id: int | Unset = UNSET
    project_handle: None | str | Unset = UNSET
    project_id: int | None | Unset = UNSET
    started_by_user_id: int | None | Unset = UNSET
    experiment_template_id: int | None | Unset = UNSET
    experiment_template_history_id: int | None | Unset = UNSET
    experiment_error: None | str | Unset = UNSET
    dt_created: None | str | Unset = UNSET
    dt_modified: None | str | Unset = UNSET
    dt_provisioning_started: None | str | Unset = UNSET
    dt_provisioning_finished: None | str | Unset = UNSET
    dt_started: None | str | Unset = UNSET
    dt_teardown_started: None | str | Unset = UNSET
    dt_teardown_finished: None | str | Unset = UNSET
    dt_finished: None | str | Unset = UNSET
    dt_deleted: None | str | Unset = UNSET
    template_history: None | TemplateHistory | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        handle = self.handle

        experiment_type_id: int
        if isinstance(self.experiment_type_id, ExperimentType):
            experiment_type_id = self.experiment_type_id.value
        else:
            experiment_type_id = self.experiment_type_id

        state: int
        if isinstance(self.state, ExperimentState):
            state = self.state.value
        else:
            state = self.state

        id = self.id

        project_handle: None | str | Unset
        if isinstance(self.project_handle, Unset):
            project_handle = UNSET
        else:
            project_handle = self.project_handle

        project_id: int | None | Unset
        if isinstance(self.project_id, Unset):
            project_id = UNSET
        else:
            project_id = self.project_id

        started_by_user_id: int | None | Unset
        if isinstance(self.started_by_user_id, Unset):
            started_by_user_id = UNSET
        else:
            started_by_user_id = self.started_by_user_id

        experiment_template_id: int | None | Unset
        if isinstance(self.experiment_template_id, Unset):
            experiment_template_id = UNSET
        else:
            experiment_template_id = self.experiment_template_id

        experiment_template_history_id: int | None | Unset
        if isinstance(self.experiment_template_history_id, Unset):
            experiment_template_history_id = UNSET
        else:
            experiment_template_history_id = self.experiment_template_history_id

        experiment_error: None | str | Unset
        if isinstance(self.experiment_error, Unset):
            experiment_error = UNSET
        else:
            experiment_error = self.experiment_error

        dt_created: None | str | Unset
        if isinstance(self.dt_created, Unset):
            dt_created = UNSET
        else:
            dt_created = self.dt_created

        dt_modified: None | str | Unset
        if isinstance(self.dt_modified, Unset):
            dt_modified = UNSET
        else:
            dt_modified = self.dt_modified

        dt_provisioning_started: None | str | Unset
        if isinstance(self.dt_provisioning_started, Unset):
            dt_provisioning_started = UNSET
        else:
            dt_provisioning_started = self.dt_provisioning_started

        dt_provisioning_finished: None | str | Unset
        if isinstance(self.dt_provisioning_finished, Unset):
            dt_provisioning_finished = UNSET
        else:
            dt_provisioning_finished = self.dt_provisioning_finished

        dt_started: None | str | Unset
        if isinstance(self.dt_started, Unset):
            dt_started = UNSET
        else:
            dt_started = self.dt_started

        dt_teardown_started: None | str | Unset
        if isinstance(self.dt_teardown_started, Unset):
            dt_teardown_started = UNSET
        else:
            dt_teardown_started = self.dt_teardown_started

        dt_teardown_finished: None | str | Unset
        if isinstance(self.dt_teardown_finished, Unset):
            dt_teardown_finished = UNSET
        else:
            dt_teardown_finished = self.dt_teardown_finished

        dt_finished: None | str | Unset
        if isinstance(self.dt_finished, Unset):
            dt_finished = UNSET
        else:
            dt_finished = self.dt_finished

        dt_deleted: None | str | Unset
        if isinstance(self.dt_deleted, Unset):
            dt_deleted = UNSET
        else:
            dt_deleted = self.dt_deleted

        template_history: dict[str, Any] | None | Unset
        if isinstance(self.template_history, Unset):
            template_history = UNSET
        elif isinstance(self.template_history, TemplateHistory):
            template_history = self.template_history.to_dict()
        else:
            template_history = self.template_history

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "handle": handle,
                "experimentTypeId": experiment_type_id,
                "state": state,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id
        if project_handle is not UNSET:
            field_dict["projectHandle"] = project_handle
        if project_id is not UNSET:
            field_dict["projectId"] = project_id
        if started_by_user_id is not UNSET:
            field_dict["started_by_user_id"] = started_by_user_id
        if experiment_template_id is not UNSET:
            field_dict["experimentTemplateId"] = experiment_template_id
        if experiment_template_history_id is not UNSET:
            field_dict["experimentTemplateHistoryId"] = experiment_template_history_id
        if experiment_error is not UNSET:
            field_dict["experimentError"] = experiment_error
        if dt_created is not UNSET:
            field_dict["dtCreated"] = dt_created
        if dt_modified is not UNSET:
            field_dict["dtModified"] = dt_modified
        if dt_provisioning_started is not UNSET:
            field_dict["dtProvisioningStarted"] = dt_provisioning_started
        if dt_provisioning_finished is not UNSET:
            field_dict["dtProvisioningFinished"] = dt_provisioning_finished
        if dt_started is not UNSET:
            field_dict["dtStarted"] = dt_started
        if dt_teardown_started is not UNSET:
            field_dict["dtTeardownStarted"] = dt_teardown_started
        if dt_teardown_finished is not UNSET:
            field_dict["dtTeardownFinished"] = dt_teardown_finished
        if dt_finished is not UNSET:
            field_dict["dtFinished"] = dt_finished
        if dt_deleted is not UNSET:
            field_dict["dtDeleted"] = dt_deleted
        if template_history is not UNSET:
            field_dict["templateHistory"] = template_history

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        if type(src_dict) is not dict and not isinstance(src_dict, Mapping):
            raise TypeError(f"an object was expected, not {type(src_dict).__name__}")
        d = dict(src_dict)
        if d.get("id", UNSET) is None:
            del d["id"]
        handle = d.pop("handle")

        _experiment_type_id = d.pop("experimentTypeId")
        experiment_type_id: ExperimentType | int = _experiment_type_id
        if type(_experiment_type_id) is int:
            experiment_type_id = ExperimentType._value2member_map_.get(_experiment_type_id, _experiment_type_id)

        _state = d.pop("state")
        state: ExperimentState | int = _state
        if type(_state) is int:
            state = ExperimentState._value2member_map_.get(_state, _state)

        id = d.pop("id", UNSET)

        project_handle = d.pop("projectHandle", UNSET)

        project_id = d.pop("projectId", UNSET)

        started_by_user_id = d.pop("started_by_user_id", UNSET)

        experiment_template_id = d.pop("experimentTemplateId", UNSET)

        experiment_template_history_id = d.pop("experimentTemplateHistoryId", UNSET)

        experiment_error = d.pop("experimentError", UNSET)

        dt_created = d.pop("dtCreated", UNSET)

        dt_modified = d.pop("dtModified", UNSET)

        dt_provisioning_started = d.pop("dtProvisioningStarted", UNSET)

        dt_provisioning_finished = d.pop("dtProvisioningFinished", UNSET)

        dt_started = d.pop("dtStarted", UNSET)

        dt_teardown_started = d.pop("dtTeardownStarted", UNSET)

        dt_teardown_finished = d.pop("dtTeardownFinished", UNSET)

        dt_finished = d.pop("dtFinished", UNSET)

        dt_deleted = d.pop("dtDeleted", UNSET)

        _template_history = d.pop("templateHistory", UNSET)
        template_history: None | TemplateHistory | Unset = _template_history
        if isinstance(_template_history, dict):
            try:
                template_history = TemplateHistory.from_dict(_template_history)
            except (TypeError, ValueError, AttributeError, KeyError):
                pass

        experiment = cls(
            handle=handle,
            experiment_type_id=experiment_type_id,
            state=state,
            id=id,
            project_handle=project_handle,
            project_id=project_id,
            started_by_user_id=started_by_user_id,
            experiment_template_id=experiment_template_id,
            experiment_template_history_id=experiment_template_history_id,
            experiment_error=experiment_error,
            dt_created=dt_created,
            dt_modified=dt_modified,
            dt_provisioning_started=dt_provisioning_started,
            dt_provisioning_finished=dt_provisioning_finished,
            dt_started=dt_started,
            dt_teardown_started=dt_teardown_started,
            dt_teardown_finished=dt_teardown_finished,
            dt_finished=dt_finished,
            dt_deleted=dt_deleted,
            template_history=template_history,
        )

        experiment.additional_properties = d
        return experiment

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


from ..models.template_history import TemplateHistory
