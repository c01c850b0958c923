"""Learn to read handwritten digits, on one node.

The environment variables EPOCHS, BATCH_SIZE, LEARNING_RATE and SEED change the training; PS_MODEL_PATH is the folder
for the model.
"""

from __future__ import annotations

import os

from images import load, moved
from network import Network, Vector
from settings import Settings
from training import finish, make_folder, train


def main() -> None:
    settings = Settings.read(os.environ)
    make_folder(settings.model_folder)
    images, test = load()
    network = Network(settings.seed)

    def learn(gradient: Vector) -> None:
        network.parameters -= settings.learning_rate * gradient

    print(f"Learning from {len(images)} images of handwritten digits, for {settings.epochs} epochs", flush=True)
    train(network, moved(images), test, settings, learn)
    finish(network, test, settings.model_folder)


if __name__ == "__main__":
    main()
