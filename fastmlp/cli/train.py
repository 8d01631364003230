"""`fastmlp train`, from the data to a folder with a model, its history and pictures."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import DataLoader
from fastmlp.kernels.core import machine
from fastmlp.metrics import evaluate
from fastmlp.model import MLP, DigitsClassifier
from fastmlp.training import History, Record, fit, train_epoch

from .arguments import add_command
from .console import Clock, Interrupts, say
from .data import read_data
from .options import add_options, check_options, describe_options, make_optimizer, make_stopping, remedy_for
from .recipe import cook_all
from .results import places, save, save_pictures


def add(commands: Any) -> None:
    """Add the command and its options."""
    add_options(
        add_command(
            commands,
            train,
            "train a classifier of images",
            "Train a classifier on MNIST's 60,000 digits, or on any data set in the same\n"
            "format, and print its loss and F1 scores after each epoch. The model, its\n"
            "history and two pictures are saved in a folder. Ctrl-C ends the run early and\n"
            "saves what there is. With --checkpoint a run that was cut, in whatever way, can\n"
            "be completed: the same command with --resume gives the same model.",
            "fastmlp train --hidden 128 64 --scale 1/255 --lr 0.1 --epochs 5 --out runs/deeper",
        )
    )


def train(args: argparse.Namespace) -> int:
    """Train a model, tell how it goes, and save what comes of it."""
    check_options(args)
    if args.recipe:
        return _follow_recipe(args)
    clock = Clock()
    with clock.part("reading data"):
        data = _hold_back(_read_data(args), args.holdout, args.seed)
    with places(args.out, args.checkpoint, args.resume) as folder, Interrupts(may_cut=True) as interrupts:
        model, loader = _prepare(args, data, folder, clock)
        try:
            history = _fit(args, data, model, loader, clock)
        except Exception as error:  # divergence, a full disk
            interrupts.may_cut = False
            if hasattr(error, "history"):  # the model has the weights of the last epoch that ended
                save(folder, model, error.history)
            raise
        interrupts.may_cut = False
        _finish(args, data, model, history, folder, clock)
    return 130 if history.interrupted else 0


def _finish(
    args: argparse.Namespace, data: _Data, model: MLP, history: History, folder: Path, clock: Clock
) -> None:
    """Save what came of the run, and tell of it."""
    with clock.part("saving"):
        save(folder, model, history)
    if data.held_back:
        with clock.part("scoring"):
            say(f"[Test images] f1: {evaluate(model, data.X_test, data.y_test):.3f}")
    with clock.part("pictures"):
        shown, legend = slice(15), _LEGEND if data.held_back else None
        save_pictures(folder, model, history, data.X_test[shown], data.y_test[shown], legend)
    ending = "Interrupted; saved" if history.interrupted else "Saved"
    say(f"{clock}\n{ending} the model, its history and pictures in {folder}")
    if history.interrupted and args.checkpoint:
        say(f"Go on with: {shlex.join(['fastmlp', *args.argv, *([] if args.resume else ['--resume'])])}")


def _follow_recipe(args: argparse.Namespace) -> int:
    """Train by the recipe, and save as any run does."""
    data = _read_data(args)
    machine.set_num_threads(args.threads)
    with places(args.out, None, False) as folder:
        say(
            f"Training 784-128-10 on {data.name} by the 98 % recipe, threads {machine.get_num_threads()}; "
            f"saving in {folder}"
        )
        # of other data, since compiling is not counted
        _load_kernels(MLP([784, 1, 10], seed=0, scale=1 / 255, center=np.zeros(784)), data, args)
        best = cook_all(args, data.X, data.y, data.X_test, data.y_test)
    with Interrupts():
        save(folder, best.model, best.history)
        save_pictures(folder, best.model, best.history, data.X_test[:15], data.y_test[:15], None)
    say(f"Saved the model, its history and pictures in {folder}")
    return 0


_LEGEND = ("loss, relative to its largest", "F1, training data", "F1, data held back")


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
    held_back: tuple[NDArray[np.uint8], NDArray[np.uint8]] | tuple[()] = ()

    @property
    def validation(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What is scored after each epoch."""
        return self.held_back or (self.X_test, self.y_test)


def _read_data(args: argparse.Namespace) -> _Data:
    X, y, X_test, y_test = read_data(args)
    if args.data is None:
        called, names, n_classes = "MNIST", tuple("0123456789"), 10
    else:
        called, names, n_classes = " ".join([str(args.data), args.set or ""]).strip(), None, int(y.max()) + 1
    flat = [images.reshape(len(images), -1) for images in (X, X_test)]
    return _Data(flat[0], y, flat[1], y_test, X.shape[1:], n_classes, called, names)


def _hold_back(data: _Data, share: float | None, seed: int) -> _Data:
    """Move a share of the training images, drawn by the seed, to those held back; both stay in order."""
    if share is None:
        return data
    n = len(data.X)
    n_held = round(share * n)
    if not 0 < n_held < n:
        few, other = ("none", "larger") if not n_held else ("all", "smaller")
        raise ValueError(f"--holdout {share:g} holds back {few} of {n} images: give a {other} share")
    held = np.zeros(n, bool)
    held[np.random.default_rng(seed).permutation(n)[:n_held]] = True
    parts = data.X[held], data.y[held]
    return data._replace(X=data.X[~held], y=data.y[~held], held_back=parts)


def _prepare(args: argparse.Namespace, data: _Data, folder: Path, clock: Clock) -> tuple[MLP, DataLoader]:
    with clock.part("preparing"):
        machine.set_num_threads(args.threads)
        options = {"activation": args.activation, "dropout": args.dropout, "scale": args.scale}
        model = DigitsClassifier(
            data.X.shape[1],
            args.hidden,
            data.n_classes,
            image_shape=data.image_shape,
            class_names=data.class_names,
            seed=args.seed,
            **options,
        )
    say(_describe(args, data, model, folder))
    with clock.part("compiling or loading kernels"):
        _load_kernels(MLP([model.n_in, 1, model.n_out], seed=0, **options), data, args)
    with clock.part("preparing"):
        return model, DataLoader(data.X, data.y, args.batch_size, shuffle=True, seed=args.seed)


def _describe(args: argparse.Namespace, data: _Data, model: MLP, folder: Path) -> str:
    sizes, sides = "-".join(map(str, model.sizes)), " x ".join(map(str, data.image_shape))
    held = f"{len(data.held_back[0]):,} held back, " if data.held_back else ""
    return (
        f"Training {sizes} ({model.n_parameters:,} parameters, {np.dtype(model.dtype)}) on {data.name}: "
        f"{len(data.X):,} training{f', {held}' if held else ' '}and {len(data.X_test):,} test images of "
        f"{sides}, {model.n_classes} classes\n"
        f"{describe_options(args)}, threads {machine.get_num_threads()}; saving in {folder}"
    )


def _load_kernels(tiny: MLP, data: _Data, args: argparse.Namespace) -> None:
    # a tiny model makes Numba load or compile what the run needs, outside the epochs' times
    X, y = np.zeros_like(data.X[:1]), data.y[:1]  # zeros, so that masks of them are made too
    options = {"label_smoothing": args.label_smoothing, "ema": args.ema}
    train_epoch(tiny, X, y, lr=1e-6, batch_size=1, shuffle=False, **options)
    tiny.loss(X, y)  # predicts too


def _fit(args: argparse.Namespace, data: _Data, model: MLP, loader: DataLoader, clock: Clock) -> History:
    resumed = args.checkpoint if args.resume and args.checkpoint.exists() else None
    scored = "held back" if data.held_back else "test"
    if resumed:
        say(f"Going on with the run of {resumed}")
    else:
        with clock.part("scoring"):
            f1_train, f1_other = evaluate(model, data.X, data.y), evaluate(model, *data.validation)
        say(f"[Untrained] f1 train: {f1_train:.3f}, f1 {scored}: {f1_other:.3f}")
    records: list[Record] = []

    def after_epoch(record: Record) -> None:
        records.append(record)
        clock.add("training", record.seconds)
        say(f"{str(record).replace('f1 test', f'f1 {scored}')} ({1000 * record.seconds:.0f} ms)")

    start = time.perf_counter()
    try:
        history = fit(
            model,
            loader,
            epochs=args.epochs,
            optimizer=make_optimizer(args),
            early_stopping=make_stopping(args),
            label_smoothing=args.label_smoothing,
            ema=args.ema,
            validation_data=data.validation,
            score_train=True,
            checkpoint=args.checkpoint,
            resume=resumed,
            callbacks=[after_epoch],
        )
    except KeyboardInterrupt as interrupt:
        if resumed and not hasattr(interrupt, "history"):
            raise  # before anything was read: what is in the folder is better
        history = getattr(interrupt, "history", History(records, interrupted=True))
    except ValueError as error:
        if not resumed or hasattr(error, "history"):
            raise
        raise ValueError(f"--resume: {error}; {remedy_for(str(error))}") from None
    name = "scoring and checkpoints" if args.checkpoint else "scoring"
    clock.add(name, time.perf_counter() - start - sum(r.seconds for r in records))
    if not records and not history.interrupted:
        say(f"That run had ended, after {len(history)} epochs: there is nothing to train")
    return history
