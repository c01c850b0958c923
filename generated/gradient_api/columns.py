# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""The answers that are tables: arrays of objects, whose members are texts, numbers or truth values."""

from typing import Final, NamedTuple


class Column(NamedTuple):
    """What each row of a table has under one name."""

    attribute: str
    """The name in Python."""
    name: str
    """The name in JSON."""
    json_type: str
    required: bool
    """Whether every row has it; in other rows it may be missing or null."""


GET_LOGS_COLUMNS: Final = (
    Column("line", "line", "integer", required=True),
    Column("message", "message", "string", required=True),
    Column("timestamp", "timestamp", "string", required=True),
    Column("job_id", "jobId", "string", required=False),
)
"""What the rows have that `getLogs` answers."""
