"""`fastmlp predict`: what images show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastmlp.model import MLP

from .arguments import MODEL, add_command
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
        "on dark, as MNIST is, or come with --invert.",
        "fastmlp predict runs/deeper/model.safetensors digit.png --invert",
    )
    argument("model", **MODEL)
    argument("images", type=Path, nargs="+", metavar="IMAGE", help="picture or IDX file")
    argument("--invert", action="store_true", help="the images are dark on light (default: light on dark)")


def predict(args: argparse.Namespace) -> int:
    """Print the class of each image and its probability."""
    model = MLP.load(args.model)
    for path in args.images:
        images, names = read_images(path, args.invert)
        shape = model.image_shape or images.shape[1:]
        if images.shape[1:] != shape:
            found, expected = (" x ".join(map(str, sides)) for sides in (images.shape[1:], shape))
            raise ValueError(
                f"{path}: found an image of {found} pixels (height x width), expected {expected}"
            )
        for name, shares in zip(names, model.predict_proba(images.reshape(len(images), -1)), strict=True):
            best = int(shares.argmax())
            print(f"{name}: {_class_name(model, best)} ({100 * shares[best]:.1f} %)")
    return 0


def _class_name(model: MLP, k: int) -> str:
    if model.class_names is None:
        return f"class {k}"
    name = model.class_names[k]
    return f"digit {name}" if name.isdecimal() else name
