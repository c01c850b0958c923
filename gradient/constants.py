"""Names and words for the numbers of states and types.

>>> ExperimentState.get_state_str(ExperimentState.CREATED)
'created'
>>> ExperimentType.get_type_str(2)
'GRPC multi node'
"""

from gradient_ext.constants import ExperimentState, ExperimentType

__all__ = ["ExperimentState", "ExperimentType"]

for _public in (ExperimentState, ExperimentType):
    _public.__module__ = __name__  # what help() and pickles should say
