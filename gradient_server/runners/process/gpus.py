"""The GPUs of this machine, and the variables by which the processes of a run see their own."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from gradient_server.runners.base import RunRejectedError

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
THREADS = "OMP_NUM_THREADS"
_LISTED = re.compile(r"GPU (\d+): ", re.MULTILINE)
_TIMEOUT = 30.0
"""Seconds for `nvidia-smi`, which is slow where the driver has to be loaded."""


def find_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the GPUs that this process may use: those in `CUDA_VISIBLE_DEVICES`, or all of NVIDIA.

    :param environment: of this process
    """
    if VISIBLE in environment:
        names = [name.strip() for name in environment[VISIBLE].split(",")]
        # As CUDA reads it: what follows an invalid name is invisible.
        end = next((index for index, name in enumerate(names) if not name or name.startswith("-")), len(names))
        return tuple(dict.fromkeys(names[:end]))
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "-L"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True, env=environment)
        return tuple(_LISTED.findall(found.stdout))
    return ()


def base_variables(cpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a node that are the same whichever GPUs it has.

    :param int cpus: its processors; 0: they are not counted
    :param environment: of this process
    """
    # By default CUDA counts the fastest GPU first, and nvidia-smi counts as they are plugged in.
    order = {ORDER: environment.get(ORDER, "PCI_BUS_ID")}
    return {**order, THREADS: str(cpus)} if cpus else order


def with_gpus(
    variables: Sequence[Mapping[str, str]], gpus: Sequence[Sequence[str]], *, shared: bool
) -> tuple[dict[str, str], ...]:
    """Return the variables of each node, with those that show it its GPUs and hide the others.

    :param shared: whether each node sees those of all nodes, as `mpirun` starts its ranks on one of them
    """
    all_names = [name for names in gpus for name in names]
    return tuple(
        {**given, VISIBLE: ",".join(all_names if shared else names)}
        for given, names in zip(variables, gpus, strict=True)
    )


def check_gpu_variables(body: Mapping[str, Any]) -> None:
    """Check that an experiment does not choose GPUs itself, where each is assigned to one run at a time.

    :raises RunRejectedError: it does
    """
    if names := [name for name in (VISIBLE, ORDER) if name in (body.get("experimentEnv") or {})]:
        text = f"The server assigns GPUs to each run by {names[0]}: leave it out, and ask for a machine type with GPUs."
        raise RunRejectedError(text, "experimentEnv")
