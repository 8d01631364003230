"""`fastmlp evaluate`: a saved model's scores on test data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import metrics
from fastmlp.metrics import METRICS, confusion_matrix
from fastmlp.model import MLP
from fastmlp.plotting import plot_confusion, save_figure

from .arguments import MODEL, add_command
from .console import Interrupts, note_boxes
from .data import add_data, read_data


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    argument = add_command(
        commands,
        evaluate,
        "score a saved model on test data",
        "Print precision, recall and F1 score of each class on the test images of MNIST,\n"
        "or of any data set in the same format, and save the confusion matrix as a\n"
        "picture. Of a model that predicts a number the labels are taken as numbers, and\n"
        "R2 or D2 is printed.",
        "fastmlp evaluate runs/deeper/model.safetensors",
    ).add_argument
    argument("model", **MODEL)
    add_data(argument)
    argument("--out", type=Path, metavar="PNG", help="the picture (default: confusion.png beside the model)")


def evaluate(args: argparse.Namespace) -> int:
    """Print how well a model predicts the test labels; save the confusion matrix where it tells classes."""
    model = MLP.load(args.model)
    if model.output != "softmax" and model.n_out > 1:
        raise ValueError(
            f"{args.model} has {model.n_out} {model.output} outputs, but IDX files hold one label an image; "
            "score it with fastmlp.evaluate(model, X, y)"
        )
    numbers = model.output in ("identity", "exp")
    if numbers and args.out:
        args.refuse(f"--out {args.out} goes with models of classes, and {args.model} predicts numbers")
    _, _, images, y = read_data(args)
    X = images.reshape(len(images), -1)
    if numbers:
        print(f"{METRICS[model.output].upper()}: {metrics.evaluate(model, X, y):.3f}")
    else:
        _report_classes(model, X, y, args.out or args.model.parent / "confusion.png")
    return 0


def _report_classes(model: MLP, X: NDArray[np.uint8], y: NDArray[np.uint8], picture: Path) -> None:
    """Print scikit-learn's report on a model's test predictions and save their confusion matrix."""
    from sklearn.metrics import classification_report  # slow to import

    predicted = model.predict(X)
    present = np.union1d(y, predicted)  # a matrix of all classes would be large where they are many
    if present[-1] >= model.n_classes:
        raise ValueError(f"found the label {present[-1]} in the data, expected 0 to {model.n_classes - 1}")
    places = np.searchsorted(present, y), np.searchsorted(present, predicted)
    confusion = confusion_matrix(*places, len(present))
    shown = [model.class_names[k] if model.class_names else str(k) for k in present]
    print(classification_report(y, predicted, target_names=shown, digits=3, zero_division=0))
    with Interrupts():
        note_boxes(picture, save_figure(plot_confusion(confusion, shown), picture))
    print(f"Saved the confusion matrix as {picture}")
