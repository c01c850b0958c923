"""Names and words for the numbers of states and types.

>>> ExperimentState.get_state_str(ExperimentState.CREATED)
'created'
>>> ExperimentType.get_type_str(2)
'GRPC multi node'
"""

from gradient_ext.constants import ExperimentState, ExperimentType
from gradient_ext.naming import public as _public

__all__ = ["ExperimentState", "ExperimentType"]

for _kind in (ExperimentState, ExperimentType):
    _public(_kind, __name__)
