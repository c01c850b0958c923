# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""Contains all the data models used in inputs/outputs"""

from .common_fields import CommonFields
from .common_fields_experiment_env import CommonFieldsExperimentEnv
from .created import Created
from .done import Done
from .error import Error
from .error_details_type_1 import ErrorDetailsType1
from .error_error_type_1 import ErrorErrorType1
from .experiment import Experiment
from .experiment_answer import ExperimentAnswer
from .experiment_group import ExperimentGroup
from .experiment_list import ExperimentList
from .experiment_state import ExperimentState
from .experiment_type import ExperimentType
from .group_meta import GroupMeta
from .item_group import ItemGroup
from .list_experiments_project_handle import ListExperimentsProjectHandle
from .list_meta import ListMeta
from .log_row import LogRow
from .master_fields import MasterFields
from .mpi_multi_node_request import MpiMultiNodeRequest
from .multi_node_request import MultiNodeRequest
from .multi_node_request_experiment_type_id import MultiNodeRequestExperimentTypeId
from .parameter_server_fields import ParameterServerFields
from .single_node_fields import SingleNodeFields
from .single_node_request import SingleNodeRequest
from .state_answer import StateAnswer
from .state_reading import StateReading
from .template_history import TemplateHistory
from .template_history_params_type_0 import TemplateHistoryParamsType0
from .worker_fields import WorkerFields

__all__ = (
    "CommonFields",
    "CommonFieldsExperimentEnv",
    "Created",
    "Done",
    "Error",
    "ErrorDetailsType1",
    "ErrorErrorType1",
    "Experiment",
    "ExperimentAnswer",
    "ExperimentGroup",
    "ExperimentList",
    "ExperimentState",
    "ExperimentType",
    "GroupMeta",
    "ItemGroup",
    "ListExperimentsProjectHandle",
    "ListMeta",
    "LogRow",
    "MasterFields",
    "MpiMultiNodeRequest",
    "MultiNodeRequest",
    "MultiNodeRequestExperimentTypeId",
    "ParameterServerFields",
    "SingleNodeFields",
    "SingleNodeRequest",
    "StateAnswer",
    "StateReading",
    "TemplateHistory",
    "TemplateHistoryParamsType0",
    "WorkerFields",
)
