"""What the commands that use a saved model, or none, do: `evaluate`, `predict`, `info` and `bench`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import platform
import sys
import textwrap
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import __version__
from .data import load_idx_dataset, load_mnist
from .images import read_images
from .kernels import machine
from .metrics import confusion_matrix
from .model import MLP
from .plotting import plot_confusion, save_figure
from .storage import safe_write

_PACKAGES = ("numpy", "numba", "llvmlite", "scikit-learn", "matplotlib", "tqdm", "safetensors")
_SWITCHES = ("FASTMLP_CACHE", "FASTMLP_NUM_THREADS", "FASTMLP_SKIP_ZEROS", "FASTMLP_VECTOR_BYTES")


def evaluate(args: argparse.Namespace) -> int:
    """Print scikit-learn's report on a model's test predictions and save their confusion matrix."""
    from sklearn.metrics import classification_report  # slow to import

    model = MLP.load(args.model)
    _, _, X, y = load_mnist() if args.data is None else load_idx_dataset(args.data)
    predicted = model.predict(X)
    confusion = confusion_matrix(y, predicted, model.n_classes)
    names = model.class_names or tuple(map(str, range(model.n_classes)))
    present = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))
    shown = [names[k] for k in present]
    print(classification_report(y, predicted, target_names=shown, digits=3, zero_division=0))
    picture = args.out or args.model.parent / "confusion.png"
    save_figure(plot_confusion(confusion, names), picture)
    print(f"Saved the confusion matrix as {picture}")
    return 0


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


def info(args: argparse.Namespace) -> int:
    """Print versions, what of the processor is used, the cache's folder and the switches."""
    used = sorted(feature[1:] for feature in machine.features().split(",") if feature.startswith("+"))
    lines = {
        "fastmlp": f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
        "processor": machine.processor(),
        "features": " ".join(used),
        "threads": machine.get_num_threads(),
        "vectors": f"{machine.vector_bytes()} bytes",
        "cache": _cache_folder(),
    } | {name: os.environ.get(name, "not set") for name in _SWITCHES}
    width = max(map(len, lines))
    indent = " " * (width + 2)
    for name, text in lines.items():
        print(textwrap.fill(f"{name:{width}}  {text}", 110, subsequent_indent=indent, break_on_hyphens=False))
    return 0


def bench(args: argparse.Namespace) -> int:
    """Check, measure and print every figure; write them as JSON where asked."""
    from . import bench as measuring  # of no use to the other commands

    effort = measuring.QUICK if args.quick else measuring.FULL
    asked = measuring.Bench(sorted({*args.threads}) or measuring.default_threads(), effort)
    # opened before anything is measured, so that a wrong path shows now
    with safe_write(args.json) if args.json else contextlib.nullcontext() as file:
        report = measuring.run(asked, _say)
        if file:
            measuring.write_json(file, report)
    return 0


def _say(text: str) -> None:
    tqdm.write(text)  # keeps clear of the progress bar
    sys.stdout.flush()


def _cache_folder() -> Path | str:
    try:
        return machine.cache_folder()
    except RuntimeError as error:
        return f"none: {error}"
