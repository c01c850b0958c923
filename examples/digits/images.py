"""The images of handwritten digits that `DATA.md` describes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).with_name("digits.csv.gz")
SIDE = 8
DARKEST = 16
TEST_IMAGES = 360


@dataclass(frozen=True)
class Images:
    """Images, one in each row: its pixels from 0 (white) to 1 (black), and the digit that it shows."""

    pixels: npt.NDArray[np.float32]
    digits: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> Images:
        return Images(self.pixels[rows], self.digits[rows])


def load() -> tuple[Images, Images]:
    """Return the images for training and those for the test.

    The split is always the same, so that the accuracies of different runs can be compared.
    """
    table = np.loadtxt(FILE, delimiter=",", dtype=np.float32)
    # Neighbours in the file are similar: without shuffling, the two parts would differ in kind.
    table = np.random.default_rng(0).permutation(table)
    every = Images((table[:, :-1] / DARKEST).astype(np.float32), table[:, -1].astype(np.int64))
    return every[TEST_IMAGES:], every[:TEST_IMAGES]


def share(images: Images, index: int, count: int) -> Images:
    """Return the images of one of several workers; all of them have the same number of images."""
    return images[: len(images) // count * count][index::count]


def moved(images: Images) -> Images:
    """Return nine copies of each image, shifted by up to one pixel: a form of data augmentation."""
    padded = np.pad(images.pixels.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    views = [padded[:, down : down + SIDE, right : right + SIDE] for down in range(3) for right in range(3)]
    return Images(np.concatenate(views).reshape(-1, SIDE * SIDE), np.tile(images.digits, len(views)))
