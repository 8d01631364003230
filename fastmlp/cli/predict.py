"""`fastmlp predict`: what images show."""

from __future__ import annotations

import argparse

from fastmlp.model import MLP

from .images import read_images


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
