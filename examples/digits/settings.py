"""The settings of the training, from environment variables: `experiment_env` of an experiment sets them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How to train. A variable that is missing has a default; an invalid one ends the script."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    model_folder: Path
    wait_seconds: float
    """Seconds that a worker waits for a parameter server."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in an environment."""
        return cls(
            epochs=whole_number(environment, "EPOCHS", default=75, at_least=1),
            batch_size=whole_number(environment, "BATCH_SIZE", default=16, at_least=1),
            learning_rate=positive_number(environment, "LEARNING_RATE", default=0.05),
            seed=whole_number(environment, "SEED", default=1, at_least=0),
            model_folder=Path(environment.get("PS_MODEL_PATH") or "model"),
            wait_seconds=positive_number(environment, "WAIT_SECONDS", default=60),
        )


def whole_number(environment: Mapping[str, str], name: str, *, default: int, at_least: int) -> int:
    """Return a variable that is a whole number with a minimum."""
    text = environment.get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = at_least - 1
    if number < at_least:
        raise SystemExit(f"{name} has to be a whole number of at least {at_least}, not {text!r}.")
    return number


def positive_number(environment: Mapping[str, str], name: str, *, default: float) -> float:
    """Return a variable that is a number above zero."""
    text = environment.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise SystemExit(f"{name} has to be a number above 0, not {text!r}.")
    return number
