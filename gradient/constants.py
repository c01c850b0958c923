"""Names and words for the numbers of states and types.

>>> ExperimentState.get_state_str(ExperimentState.CREATED)
'created'
>>> ExperimentType.get_type_str(2)
'GRPC multi node'
"""

from gradient_ext import public as _public
from gradient_ext.states import ExperimentState, ExperimentType

__all__ = ["ExperimentState", "ExperimentType"]

for _kind in (ExperimentState, ExperimentType):
    _public(_kind, __name__)
