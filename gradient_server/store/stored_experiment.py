"""An experiment as the server has it: what was given, what was asked of it, and the run that it is."""

from __future__ import annotations

from typing import Any

from attrs import define

from gradient_server.runners.base import Run


@define(kw_only=True)
class StoredExperiment:
    """An experiment.

    :param int number: how many were created before it, and one
    :param str handle: its handle
    :param body: what it was created with
    :param float created: when it was created
    :param float started: when it was started; None: it was not
    :param float stopped: when it was told to stop; None: it was not
    :param Run run: what its runner knows of it
    """

    number: int
    handle: str
    body: dict[str, Any]
    created: float
    started: float | None = None
    stopped: float | None = None
    run: Run
