# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""Contains all the data models used in inputs/outputs"""

from .artifact_page import ArtifactPage
from .created import Created
from .done import Done
from .entity import Entity
from .entity_tags import EntityTags
from .error_body import ErrorBody
from .error_body_details_type_1 import ErrorBodyDetailsType1
from .error_body_error_type_1 import ErrorBodyErrorType1
from .experiment_answer import ExperimentAnswer
from .experiment_list import ExperimentList
from .list_experiments_project_handle import ListExperimentsProjectHandle
from .list_meta import ListMeta
from .metrics_answer import MetricsAnswer
from .missing_parts import MissingParts
from .missing_parts_data import MissingPartsData
from .mpi_multi_node_request import MpiMultiNodeRequest
from .mpi_multi_node_request_experiment_env import MpiMultiNodeRequestExperimentEnv
from .multi_node_request import MultiNodeRequest
from .multi_node_request_experiment_env import MultiNodeRequestExperimentEnv
from .multi_node_request_experiment_type_id import MultiNodeRequestExperimentTypeId
from .new_project import NewProject
from .new_workspace import NewWorkspace
from .note_update import NoteUpdate
from .part_list import PartList
from .project_list import ProjectList
from .project_list_meta import ProjectListMeta
from .removal_answer import RemovalAnswer
from .single_node_request import SingleNodeRequest
from .single_node_request_experiment_env import SingleNodeRequestExperimentEnv
from .state_answer import StateAnswer
from .state_reading import StateReading
from .storage_page import StoragePage
from .storage_page_meta import StoragePageMeta
from .tags_update import TagsUpdate
from .workspace_answer import WorkspaceAnswer
from .workspace_answer_data import WorkspaceAnswerData

__all__ = (
    "ArtifactPage",
    "Created",
    "Done",
    "Entity",
    "EntityTags",
    "ErrorBody",
    "ErrorBodyDetailsType1",
    "ErrorBodyErrorType1",
    "ExperimentAnswer",
    "ExperimentList",
    "ListExperimentsProjectHandle",
    "ListMeta",
    "MetricsAnswer",
    "MissingParts",
    "MissingPartsData",
    "MpiMultiNodeRequest",
    "MpiMultiNodeRequestExperimentEnv",
    "MultiNodeRequest",
    "MultiNodeRequestExperimentEnv",
    "MultiNodeRequestExperimentTypeId",
    "NewProject",
    "NewWorkspace",
    "NoteUpdate",
    "PartList",
    "ProjectList",
    "ProjectListMeta",
    "RemovalAnswer",
    "SingleNodeRequest",
    "SingleNodeRequestExperimentEnv",
    "StateAnswer",
    "StateReading",
    "StoragePage",
    "StoragePageMeta",
    "TagsUpdate",
    "WorkspaceAnswer",
    "WorkspaceAnswerData",
)
