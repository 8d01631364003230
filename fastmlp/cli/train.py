"""`fastmlp train`, from the data to a folder with a model, its history and pictures."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from fastmlp.config import ACTIVATIONS
from fastmlp.data import DataLoader, load_idx_dataset, load_mnist
from fastmlp.kernels.core import machine
from fastmlp.metrics import evaluate
from fastmlp.model import MLP, DigitsClassifier
from fastmlp.optimizers import SGD, Adam
from fastmlp.plotting import plot_samples, plot_training_results, save_figure
from fastmlp.training import EarlyStopping, History, Record, fit, train_epoch

from .arguments import DATA, add_command, fraction, positive, scale_factor, whole_number

_FILES = ("model.safetensors", "history.csv", "training.png", "samples.png")


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    argument = add_command(
        commands,
        train,
        "train a classifier of images",
        "Train a classifier on MNIST's 60,000 digits, or on any data set in the same\n"
        "format, and print its loss and F1 scores after each epoch. The model, its\n"
        "history and two pictures are saved in a folder. Ctrl-C ends the run early and\n"
        "saves what there is.",
        "fastmlp train --hidden 128 64 --scale 1/255 --lr 0.1 --epochs 5 --out runs/deeper",
    )
    count = whole_number(1)
    argument("--data", **DATA)
    argument(
        "--hidden",
        type=count,
        nargs="+",
        default=[128],
        metavar="N",
        help="widths of the hidden layers (default: one of 128)",
    )
    argument(
        "--epochs", type=count, default=20, metavar="N", help="passes over the data (default: %(default)s)"
    )
    argument(
        "--batch-size", type=count, default=128, metavar="N", help="samples a step (default: %(default)s)"
    )
    argument(
        "--lr", type=positive, default=0.001, metavar="RATE", help="learning rate (default: %(default)s)"
    )
    argument(
        "--optimizer",
        choices=("sgd", "adam"),
        default="sgd",
        help="how weights move; adam wants a learning rate around 0.001 (default: %(default)s)",
    )
    argument(
        "--momentum",
        type=fraction,
        default=0.0,
        metavar="M",
        help="momentum of sgd, with Nesterov's look ahead, such as 0.9 (default: none)",
    )
    argument(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)} (default: %(default)s)",
    )
    argument(
        "--patience",
        type=count,
        metavar="N",
        help="end the run after N epochs without a smaller training loss, and keep the best weights",
    )
    argument(
        "--scale",
        type=scale_factor,
        default=1.0,
        metavar="FACTOR",
        help="what every pixel is multiplied by, a number or a fraction such as 1/255; scaled pixels want "
        "a learning rate around 0.1 (default: 1, pixels from 0 to 255)",
    )
    argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="seed of the first weights and of the samples' order (default: %(default)s)",
    )
    argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads to use (default: FASTMLP_NUM_THREADS, else as many as the machine grants)",
    )
    argument(
        "--out", type=Path, metavar="FOLDER", help="where to save (default: a new folder runs/DATE_TIME)"
    )


def train(args: argparse.Namespace) -> int:
    """Train a model, tell how it goes, and save what comes of it."""
    clock = _Clock()
    with clock.part("reading data"):
        data = _read_data(args.data)
    folder = _make_folder(args.out)
    try:
        model, loader = _prepare(args, data, folder, clock)
        try:
            history = _fit(args, data, model, loader, clock)
        except FloatingPointError as error:
            if hasattr(error, "history"):  # the model has the weights of the last epoch that ended
                _save(folder, model, error.history)
            raise
    except BaseException:
        with contextlib.suppress(OSError):  # a folder that got nothing goes; rmdir leaves any other
            folder.rmdir()
        raise
    with clock.part("saving"):
        _save(folder, model, history)
    with clock.part("pictures"):
        _save_pictures(folder, history, model, data)
    ending = "Interrupted; saved" if history.interrupted else "Saved"
    _say(f"{clock}\n{ending} the model, its history and pictures in {folder}")
    return 130 if history.interrupted else 0


def _save(folder: Path, model: MLP, history: History) -> None:
    model.save(folder / "model.safetensors")
    history.to_csv(folder / "history.csv")


class _Data(NamedTuple):
    """A data set: images (n, n_features) uint8, labels (n,) uint8, and what they are called."""

    X: NDArray[np.uint8]
    y: NDArray[np.uint8]
    X_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]
    image_shape: tuple[int, ...]
    n_classes: int
    name: str
    class_names: tuple[str, ...] | None


def _read_data(folder: Path | None) -> _Data:
    if folder is None:
        X, y, X_test, y_test = load_mnist()
        return _Data(X, y, X_test, y_test, (28, 28), 10, "MNIST", tuple("0123456789"))
    X, y, X_test, y_test = load_idx_dataset(folder, flatten=False)
    X_flat, X_test_flat = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    return _Data(X_flat, y, X_test_flat, y_test, X.shape[1:], int(y.max()) + 1, str(folder), None)


def _make_folder(out: Path | None) -> Path:
    folder = _make_new_folder(Path("runs") / time.strftime("%Y-%m-%d_%H-%M-%S")) if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        if (folder / name).exists():
            raise ValueError(f"{folder} holds {name} of an earlier run: give another --out, or move it away")
    try:
        with tempfile.TemporaryFile(dir=folder):  # what cannot be written shows now, not after training
            return folder
    except OSError as error:
        error.filename = str(folder)  # not the file's, of which nobody has heard
        raise


def _make_new_folder(path: Path) -> Path:
    names = itertools.chain([path.name], (f"{path.name}.{i}" for i in itertools.count(2)))
    while True:
        folder = path.with_name(next(names))
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def _prepare(args: argparse.Namespace, data: _Data, folder: Path, clock: _Clock) -> tuple[MLP, DataLoader]:
    _optimizer(args)  # what cannot be shows now
    with clock.part("preparing"):
        machine.set_num_threads(args.threads)
        model = DigitsClassifier(
            data.X.shape[1],
            args.hidden,
            data.n_classes,
            activation=args.activation,
            scale=args.scale,
            image_shape=data.image_shape,
            class_names=data.class_names,
            seed=args.seed,
        )
    _say(_describe(args, data, model, folder))
    with clock.part("compiling or loading kernels"):
        _load_kernels(model, data)
    with clock.part("preparing"):
        return model, DataLoader(data.X, data.y, args.batch_size, shuffle=True, seed=args.seed)


def _describe(args: argparse.Namespace, data: _Data, model: MLP, folder: Path) -> str:
    sizes, sides = "-".join(map(str, model.sizes)), " x ".join(map(str, data.image_shape))
    return (
        f"Training {sizes} ({model.n_parameters:,} parameters, {np.dtype(model.dtype)}) on {data.name}: "
        f"{len(data.X):,} training and {len(data.X_test):,} test images of {sides}, "
        f"{model.n_classes} classes\nepochs {args.epochs}, batch size {args.batch_size}, "
        f"{args.optimizer}{f' with momentum {args.momentum:g}' if args.momentum else ''}, "
        f"{args.activation}, learning rate {args.lr:g}, scale {args.scale:g}, seed {args.seed}, "
        f"threads {machine.get_num_threads()}; saving in {folder}"
    )


def _optimizer(args: argparse.Namespace) -> SGD | Adam:
    if args.optimizer == "adam":
        if args.momentum:
            raise ValueError("--momentum goes with --optimizer sgd; adam has its own")
        return Adam(args.lr)
    return SGD(args.lr, momentum=args.momentum, nesterov=args.momentum > 0)


def _load_kernels(model: MLP, data: _Data) -> None:
    # a tiny model makes Numba load or compile what the run needs, outside the epochs' times
    text = "Compiling the kernels for this machine, which later runs are spared ..."
    note = threading.Timer(2.0, _say, [text, sys.stderr])
    note.daemon = True
    note.start()
    try:
        tiny = MLP([model.n_in, 1, model.n_classes], scale=model.scale, seed=0)
        train_epoch(tiny, data.X[:1], data.y[:1], lr=1e-6, batch_size=1, shuffle=False)
        tiny.predict(data.X[:1])
    finally:
        note.cancel()


def _fit(args: argparse.Namespace, data: _Data, model: MLP, loader: DataLoader, clock: _Clock) -> History:
    with clock.part("scoring"):
        f1_train, f1_test = evaluate(model, data.X, data.y), evaluate(model, data.X_test, data.y_test)
    _say(f"[Untrained] f1 train: {f1_train:.3f}, f1 test: {f1_test:.3f}")
    records: list[Record] = []

    def after_epoch(record: Record) -> None:
        records.append(record)
        clock.add("training", record.seconds)
        _say(f"{record} ({1000 * record.seconds:.0f} ms)")

    start = time.perf_counter()
    try:
        history = fit(
            model,
            loader,
            epochs=args.epochs,
            optimizer=_optimizer(args),
            early_stopping=EarlyStopping(args.patience, "train_loss") if args.patience else None,
            validation_data=(data.X_test, data.y_test),
            score_train=True,
            callbacks=[after_epoch],
        )
    except KeyboardInterrupt as interrupt:
        history = getattr(interrupt, "history", History(records, interrupted=True))
    clock.add("scoring", time.perf_counter() - start - sum(r.seconds for r in records))
    return history


def _save_pictures(folder: Path, history: History, model: MLP, data: _Data) -> None:
    images, labels = data.X_test[:15], data.y_test[:15]
    predicted = model.predict(images)
    names, sides = model.class_names, data.image_shape
    samples = plot_samples(images, labels, predicted, class_names=names, image_shape=sides)
    save_figure(samples, folder / "samples.png")
    if len(history):
        save_figure(plot_training_results(history), folder / "training.png")


class _Clock:
    """Where the time of a run goes, in seconds by part."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.parts: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        self.parts[name] = self.parts.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.parts.items())
        return f"Time: {parts}; {time.perf_counter() - self.start:.2f} s in all"


def _say(text: object, file: TextIO | None = None) -> None:
    from tqdm import tqdm

    file = file or sys.stdout
    tqdm.write(str(text), file=file)  # keeps clear of a progress bar
    file.flush()
