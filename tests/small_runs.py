"""A data set of small images for the command line, and how to read what it saved."""

import csv
import gzip
import struct
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
SIDES = (6, 5)  # not square, so that swapped sides show
RUN_FILES = {"model.safetensors", "history.csv", "training.png", "samples.png"}


def make_images(n, sides=SIDES):
    """Images of three classes: a bright row, a bright column, or a bright corner, in noise."""
    labels = np.arange(n, dtype=np.uint8) % 3
    images = np.random.default_rng(n).integers(0, 60, (n, *sides), dtype=np.uint8)
    images[labels == 0, 1] += 180
    images[labels == 1, :, 2] += 180
    images[labels == 2, -2:, -2:] += 180
    return images, labels


def write_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def files(folder):
    return {path.name for path in folder.iterdir()}


def records(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))
