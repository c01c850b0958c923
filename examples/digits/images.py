"""The images of handwritten digits, which `DATA.md` describes: read, divided into two parts, and moved a little."""

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
    """Images, one a row: its pixels from 0 (white) to 1 (black), and the digit that it shows."""

    pixels: npt.NDArray[np.float32]
    digits: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> Images:
        return Images(self.pixels[rows], self.digits[rows])


def load() -> tuple[Images, Images]:
    """Read the images to learn from, and those to be tested with.

    The division is always the same, so that the accuracies of different runs can be compared.
    """
    table = np.loadtxt(FILE, delimiter=",", dtype=np.float32)
    # Neighbours in the file look alike: without mixing, the two parts would not be of the same kind.
    table = np.random.default_rng(0).permutation(table)
    every = Images((table[:, :-1] / DARKEST).astype(np.float32), table[:, -1].astype(np.int64))
    return every[TEST_IMAGES:], every[:TEST_IMAGES]


def share(images: Images, index: int, count: int) -> Images:
    """Take the part of one of several workers; all parts are of the same size."""
    return images[: len(images) // count * count][index::count]


def moved(images: Images) -> Images:
    """Move each image by up to one pixel in every direction: nine for one, as people do not write in one place."""
    padded = np.pad(images.pixels.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    views = [padded[:, down : down + SIDE, right : right + SIDE] for down in range(3) for right in range(3)]
    return Images(np.concatenate(views).reshape(-1, SIDE * SIDE), np.tile(images.digits, len(views)))
