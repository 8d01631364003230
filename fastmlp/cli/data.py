"""The data that a command is told to read: MNIST, or a set of IDX files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import load_idx_dataset, load_mnist
from fastmlp.data.datasets import find_dataset

from .arguments import whole_number


def add_data(argument: Any) -> None:
    """Add the options that say which data, and how it is read."""
    argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="folder or zip archive of four IDX files, named as MNIST's are (default: MNIST, which is "
        "built in)",
    )
    argument(
        "--set",
        metavar="NAME",
        help="which set of --data, where it holds several, such as digits of EMNIST's (default: the only "
        "one)",
    )
    argument(
        "--transpose",
        action="store_true",
        help="swap rows and columns of the images of --data: EMNIST's lie on their side",
    )
    argument(
        "--first-label",
        type=whole_number(0, 255),
        default=0,
        metavar="N",
        help="label of the first class in --data: 1 for EMNIST's letters (default: %(default)s)",
    )


def read_data(args: argparse.Namespace) -> tuple[NDArray[np.uint8], ...]:
    """Read what `add_data`'s options name: images, (n, rows, columns), and labels, and both of the test data.

    What a data set is known for, and was not asked for, is told on stderr.
    """
    if args.data is None:
        for option in "set", "transpose", "first_label":
            if getattr(args, option):
                args.refuse(f"--{option.replace('_', '-')} goes with --data: add --data FOLDER")
        X, y, X_test, y_test = load_mnist()
        return X.reshape(-1, 28, 28), y, X_test.reshape(-1, 28, 28), y_test
    how = {"name": args.set, "transpose": args.transpose, "first_label": args.first_label}
    arrays = load_idx_dataset(args.data, flatten=False, **how)
    path = find_dataset(args.data, args.set)[0]
    if "emnist" in path.name.lower() and not args.transpose:
        _note(f"the images in {path} lie on their side, as EMNIST's do: --transpose turns them upright")
    if least := int(arrays[1].min()):
        n = args.first_label + least
        _note(f"no label in {path.parent} is below {n}: --first-label {n} makes that the first class")
    counts = np.bincount(arrays[1])
    if absent := np.count_nonzero(counts[least:] == 0):
        label = args.first_label + len(counts) - 1
        _note(
            f"{absent} of {len(counts)} classes have no images; the largest label, {label}, is that of image "
            f"{arrays[1].argmax()} of those to train on in {path.parent}: is that a mistake?"
        )
    return arrays


def _note(text: str) -> None:
    print(f"fastmlp: note: {text}", file=sys.stderr)
