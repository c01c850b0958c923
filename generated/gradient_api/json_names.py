# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""What members are called in the JSON of answers that are not decoded to models, by their names in Python."""

from typing import Final


class ExperimentListNames:
    """What a member of `ExperimentList` is called."""

    data: Final = "data"
    message: Final = "message"
    meta: Final = "meta"


class ListMetaNames:
    """What a member of `ListMeta` is called."""

    filter: Final = "filter"
    limit: Final = "limit"
    offset: Final = "offset"
    total_items: Final = "totalItems"


class ExperimentNames:
    """What a member of `Experiment` is called."""

    handle: Final = "handle"
    id: Final = "id"
    experiment_type_id: Final = "experimentTypeId"
    state: Final = "state"
    project_handle: Final = "projectHandle"
    project_id: Final = "projectId"
    started_by_user_id: Final = "started_by_user_id"
    experiment_template_id: Final = "experimentTemplateId"
    experiment_template_history_id: Final = "experimentTemplateHistoryId"
    experiment_error: Final = "experimentError"
    dt_created: Final = "dtCreated"
    dt_modified: Final = "dtModified"
    dt_provisioning_started: Final = "dtProvisioningStarted"
    dt_provisioning_finished: Final = "dtProvisioningFinished"
    dt_started: Final = "dtStarted"
    dt_teardown_started: Final = "dtTeardownStarted"
    dt_teardown_finished: Final = "dtTeardownFinished"
    dt_finished: Final = "dtFinished"
    dt_deleted: Final = "dtDeleted"
    template_history: Final = "templateHistory"


class ExperimentGroupNames:
    """What a member of `ExperimentGroup` is called."""

    data: Final = "data"
    meta: Final = "meta"


class TemplateHistoryNames:
    """What a member of `TemplateHistory` is called."""

    id: Final = "id"
    experiment_template_id: Final = "experimentTemplateId"
    dt_created: Final = "dtCreated"
    dt_deleted: Final = "dtDeleted"
    trigger_event_id: Final = "triggerEventId"
    params: Final = "params"


class GroupMetaNames:
    """What a member of `GroupMeta` is called."""

    item_group: Final = "itemGroup"
    total_items: Final = "totalItems"


class ItemGroupNames:
    """What a member of `ItemGroup` is called."""

    key: Final = "key"
    value: Final = "value"


class ExperimentAnswerNames:
    """What a member of `ExperimentAnswer` is called."""

    data: Final = "data"
    message: Final = "message"
