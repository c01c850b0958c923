"""What changed between two versions of the contract, where, and whether old callers break. No I/O here.

contracts   pairs the operations of both, and compares what is around them
operations  parameters, bodies, statuses of one operation
schemas     what a schema is put together from, and its alternatives
fields      the members of an object
keywords    types and limits
enums       enumerations, with their names in Python
extensions  what else changes for Python although the wire may stay the same
wording     what only people read
change      one change, and how changes are collected
summary     all of it as a few lines for a person
"""

from changes.change import Change
from changes.contracts import compare
from changes.summary import summary
from changes.wording import texts_changed

__all__ = ["Change", "compare", "summary", "texts_changed"]
