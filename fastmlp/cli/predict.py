"""`fastmlp predict`: what images show."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.model import MLP
from fastmlp.start import in_one_line

from .arguments import MODEL, add_command
from .console import complain, note
from .images import read_images


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    argument = add_command(
        commands,
        predict,
        "tell what images show",
        "Print the class of each image and its probability. An image is a picture such as\n"
        "a PNG, in grey or in colour, or an IDX file with any number of them. Its sides\n"
        "must be those of the images that the model was trained on, and it must be light\n"
        "on dark, as MNIST is, or come with --invert. Of a model of labels of their own\n"
        "those likelier than not are printed, of one that predicts numbers the numbers.",
        "fastmlp predict runs/deeper/model.safetensors digit.png --invert",
    ).add_argument
    argument("model", **MODEL)
    argument("images", type=Path, nargs="+", metavar="IMAGE", help="picture or IDX file")
    argument("--invert", action="store_true", help="the images are dark on light (default: light on dark)")


def predict(args: argparse.Namespace) -> int:
    """Print what a model says of each image: its class and the probability of that, labels or numbers.

    An image of which nothing can be said is told of on stderr, and the others are answered.
    """
    model, failed, odd = MLP.load(args.model), False, []
    for path in args.images:
        try:
            images, names = read_images(path, args.invert)
            _check_sides(path, images, model)
            answers = list(_answers(model, images.reshape(len(images), -1)))
        except (ValueError, OSError, FloatingPointError) as error:
            said = in_one_line(error)
            complain(error if said.startswith(str(path)) else ValueError(f"{path}: {said}"))
            failed = True
            continue
        odd += [name for name, light in zip(names, _have_light_borders(images), strict=True) if light]
        for name, answer in zip(names, answers, strict=True):
            print(f"{name}: {answer}")
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        border, other, remedy = "light", "dark on light", "add --invert"
        if args.invert:
            border, other, remedy = "dark", "light on dark", "leave --invert out"
        note(f"{odd[0]}{more}: the border is {border}, as of {other}; if that is so, {remedy}")
    return 1 if failed else 0


def _check_sides(path: Path, images: NDArray[np.uint8], model: MLP) -> None:
    height, width = images.shape[1:]
    expected = (
        f"{model.n_in} in all" if model.image_shape is None else " x ".join(map(str, model.image_shape))
    )
    if height * width != model.n_in or (height, width) != (model.image_shape or (height, width)):
        raise ValueError(
            f"{path}: found an image of {height} x {width} pixels (height x width), expected {expected}"
        )


def _have_light_borders(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of which images more than half of the pixels at the border are light."""
    sides = images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]
    return np.mean(np.concatenate(sides, axis=1) > 127, axis=1) > 0.5


def _answers(model: MLP, X: NDArray[np.uint8]) -> Iterator[str]:
    """Say what the model has to say of each image."""
    if model.output in ("identity", "exp"):
        for values in model.predict(X).reshape(len(X), -1):
            yield ", ".join(f"{value:.6g}" for value in values)
        return
    exclusive = model.n_classes != model.n_out or model.output == "softmax"
    for shares in model.predict_proba(X):
        likely = [shares.argmax()] if exclusive else np.flatnonzero(shares > 0.5)
        parts = [f"{_class_name(model, int(k))} ({100 * shares[k]:.1f} %)" for k in likely]
        yield ", ".join(parts) or f"none of {len(shares)} labels"


def _class_name(model: MLP, k: int) -> str:
    if model.class_names is None:
        return f"class {k}"
    name = model.class_names[k]
    return f"digit {name}" if name.isdecimal() else name
