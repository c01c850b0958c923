"""A network with one hidden layer that classifies images of 64 pixels as digits."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from images import SIDE, Images

Vector = npt.NDArray[np.float32]

PIXELS, HIDDEN, DIGITS = SIDE * SIDE, 512, 10
SHAPES = {
    "hidden_weights": (PIXELS, HIDDEN),
    "hidden_biases": (HIDDEN,),
    "output_weights": (HIDDEN, DIGITS),
    "output_biases": (DIGITS,),
}


class Network:
    """The network. All of its parameters are in one vector, `parameters`; the layers are views of it.

    One vector is easy to update with a gradient, and to divide among parameter servers.
    """

    def __init__(self, seed: int) -> None:
        self.parameters: Vector = np.zeros(sum(map(prod, SHAPES.values())), np.float32)
        ends = np.cumsum([prod(shape) for shape in SHAPES.values()])
        parts = np.split(self.parameters, ends[:-1])
        self.layers = {name: part.reshape(shape) for (name, shape), part in zip(SHAPES.items(), parts, strict=True)}
        random = np.random.default_rng(seed)
        for name in ("hidden_weights", "output_weights"):
            inputs, _ = SHAPES[name]
            self.layers[name][:] = random.normal(0, np.sqrt(2 / inputs), SHAPES[name])

    def forward(self, pixels: npt.NDArray[np.float32]) -> tuple[Vector, Vector]:
        """Return the hidden layer, and the probability of each digit."""
        hidden = np.maximum(pixels @ self.layers["hidden_weights"] + self.layers["hidden_biases"], 0)
        scores = hidden @ self.layers["output_weights"] + self.layers["output_biases"]
        # The highest score becomes 0, so that no exponential overflows.
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, exponentials / exponentials.sum(axis=1, keepdims=True)

    def gradient(self, images: Images) -> tuple[float, Vector]:
        """Return the loss, which is the cross-entropy, and its gradient, a vector like `parameters`."""
        hidden, probabilities = self.forward(images.pixels)
        right = np.arange(len(images)), images.digits
        loss = -np.log(np.maximum(probabilities[right], 1e-12)).mean()
        error = probabilities
        error[right] -= 1
        error /= len(images)
        hidden_error = error @ self.layers["output_weights"].T * (hidden > 0)
        gradients = {
            "hidden_weights": images.pixels.T @ hidden_error,
            "hidden_biases": hidden_error.sum(axis=0),
            "output_weights": hidden.T @ error,
            "output_biases": error.sum(axis=0),
        }
        return float(loss), np.concatenate([gradients[name].ravel() for name in SHAPES])

    def accuracy(self, images: Images) -> float:
        """Return the share of the images that are classified correctly."""
        _, probabilities = self.forward(images.pixels)
        return float(np.mean(probabilities.argmax(axis=1) == images.digits))

    def save(self, path: Path) -> None:
        """Write the layers to a file for `numpy.load`."""
        np.savez(path, **self.layers)  # type: ignore[arg-type] # one of them could be called allow_pickle
