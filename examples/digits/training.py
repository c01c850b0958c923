"""The training, which is the same on one node and on many: epochs of small batches, and the model in a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from images import Images
from network import Network, Vector
from settings import Settings


def train(
    network: Network, images: Images, test: Images, settings: Settings, learn: Callable[[Vector], object]
) -> None:
    """Train for the given number of epochs, and print the loss and the accuracy after each of them.

    :param learn: updates the parameters of the network with a gradient
    """
    random = np.random.default_rng(settings.seed)
    for epoch in range(1, settings.epochs + 1):
        loss = one_epoch(network, images[random.permutation(len(images))], settings.batch_size, learn)
        if not math.isfinite(loss):
            raise SystemExit(
                f"The loss is {loss} in epoch {epoch}: a lower LEARNING_RATE than {settings.learning_rate:g} is needed."
            )
        count = f"{epoch:>{len(str(settings.epochs))}}/{settings.epochs}"
        # Flushed, so that readers of the log see it at once.
        print(f"epoch {count}  loss {loss:.4f}  accuracy {network.accuracy(test):.4f}", flush=True)


def one_epoch(network: Network, images: Images, batch_size: int, learn: Callable[[Vector], object]) -> float:
    """Train on all images once, batch by batch, and return the mean of the losses."""
    losses = []
    for start in range(0, len(images), batch_size):
        loss, gradient = network.gradient(images[start : start + batch_size])
        learn(gradient)
        losses.append(loss)
    return math.fsum(losses) / len(losses)


def make_folder(folder: Path) -> None:
    """Create the folder for the model before the training, so that an error does not come after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"PS_MODEL_PATH has to be a folder that can be made: {error}.") from None


def finish(network: Network, test: Images, folder: Path) -> None:
    """Save the model, and print its accuracy and its path."""
    path = folder / "digits.npz"
    network.save(path)
    print(f"accuracy {network.accuracy(test):.4f} on {len(test)} images that were not used to learn", flush=True)
    print(f"The model is saved in {path.resolve()}", flush=True)
