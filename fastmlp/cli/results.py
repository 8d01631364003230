"""Where `fastmlp train` saves what comes of a run, and its checkpoint; both are checked before it begins."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastmlp.atomic import try_write
from fastmlp.model import MLP
from fastmlp.plotting import plot_samples, plot_training_results, save_figure
from fastmlp.training import History

from .console import note_boxes

FILES = ("model.safetensors", "history.csv", "training.png", "samples.png")


@contextlib.contextmanager
def places(out: Path | None, checkpoint: Path | None, resume: bool) -> Iterator[Path]:
    """Make the folder to save in, and the checkpoint's; what stays empty goes again where the body fails.

    Parameters
    ----------
    out : the folder; None for a new one in runs/
    checkpoint : file that is going to be written, or None
    resume : goes on with an earlier run, whose files are there

    Raises
    ------
    ValueError
        There are files of an earlier run and it is not to be resumed, or a path is not what it should be.
    OSError
        A folder cannot be made, or not be written to.
    """
    made: list[Path] = []
    try:
        if checkpoint:
            _check_checkpoint(checkpoint, out, resume)
            if not checkpoint.parent.exists():
                made.append(checkpoint.parent)
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            try_write(checkpoint)  # what cannot be written shows now, not after training
        folder = _make_new_folder(Path("runs") / time.strftime("%Y-%m-%d_%H-%M-%S")) if out is None else out
        made.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if not resume and (folder / name).exists():
                raise ValueError(
                    f"{folder} holds {name} of an earlier run: give another --out, or move it away"
                )
            try_write(folder / name)
        yield folder
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # a folder that got nothing goes; rmdir leaves any other
                path.rmdir()
        raise


def _check_checkpoint(path: Path, out: Path | None, resume: bool) -> None:
    if path.is_dir() or out is not None and path.resolve() == out.resolve():
        raise ValueError(f"--checkpoint {path} is a folder, expected a file, such as {path / 'checkpoint'}")
    if path.exists() and not resume:
        raise ValueError(
            f"--checkpoint {path} exists already: add --resume to go on with its run, or name another file"
        )
    inside = out is not None and path.parent.resolve() == out.resolve()
    # the model is the only safetensors file there, for whoever looks for it by that
    if inside and (path.suffix == ".safetensors" or path.name in FILES):
        raise ValueError(
            f"--checkpoint {path} is in the folder of --out, whose model would be hard to tell from it: "
            f"give another folder, or another name such as {path.with_name('checkpoint')}"
        )


def _make_new_folder(path: Path) -> Path:
    names = itertools.chain([path.name], (f"{path.name}.{i}" for i in itertools.count(2)))
    while True:
        folder = path.with_name(next(names))
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def save(folder: Path, model: MLP, history: History) -> None:
    """Write the model and its history."""
    model.save(folder / "model.safetensors")
    history.to_csv(folder / "history.csv")


def save_pictures(
    folder: Path,
    model: MLP,
    history: History,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    legend: Sequence[str] | None,
) -> None:
    """Draw what the model says of some images, and its learning curves where an epoch ended."""
    names, sides = model.class_names, model.image_shape
    samples = plot_samples(images, labels, model.predict(images), class_names=names, image_shape=sides)
    note_boxes(folder / "samples.png", save_figure(samples, folder / "samples.png"))
    if len(history):
        save_figure(plot_training_results(history, legend), folder / "training.png")
