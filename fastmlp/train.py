"""Training: one epoch, or many with scores, a history and a progress bar."""

import contextlib
import csv
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .data import DataLoader, Seed, epoch_order
from .metrics import evaluate
from .model import MLP
from .storage import safe_write

_UNSET: Any = object()  # so that an argument that a DataLoader already has cannot be given twice unnoticed
_BAR_SECONDS = 0.1  # between two looks at an epoch's losses for the progress bar


@dataclass(frozen=True)
class Record:
    """What is known of one epoch: its losses, the scores asked for, and the seconds that training took."""

    epoch: int
    loss: float  # sum of the batches' mean losses
    mean_loss: float  # their mean
    f1_train: float | None
    f1_test: float | None
    seconds: float

    def __str__(self) -> str:
        """Give the line of an epoch: `[Epoch 00] loss: 964.216, f1 train: 0.807, f1 test: 0.808`."""
        parts = [f"[Epoch {self.epoch:02d}] loss: {self.loss:.3f}"]
        for name, score in (("train", self.f1_train), ("test", self.f1_test)):
            if score is not None:
                parts.append(f"f1 {name}: {score:.3f}")
        return ", ".join(parts)


@dataclass
class History:
    """The records of a run, an epoch each; `interrupted` where Ctrl-C ended it."""

    records: list[Record] = field(default_factory=list)
    interrupted: bool = False

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the epochs' records."""
        return iter(self.records)

    def __getitem__(self, epoch: int) -> Record:
        """Give the record of an epoch."""
        return self.records[epoch]

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a header and a line for each epoch; scores not asked for stay empty."""
        names = [column.name for column in fields(Record)]
        with safe_write(path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([getattr(record, name) for name in names] for record in self.records)


def train_epoch(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    lr: float = 1e-3,
    batch_size: int = _UNSET,
    shuffle: bool = _UNSET,
    seed: Seed = _UNSET,
) -> float:
    """Train a model on every batch of a data set once.

    Parameters
    ----------
    model : MLP
    X : (n, n_in) real numbers with y their labels; or a DataLoader, which is faster for many epochs
    y : (n,) integers or (n, n_classes) rows that sum to 1; not with a DataLoader
    lr : learning rate
    batch_size : samples a batch, 128; not with a DataLoader
    shuffle : visit the samples in random order, True; not with a DataLoader
    seed : of that order: `default_rng(seed).permutation(n)`. The same number gives the same order at every
        call: for many epochs give [seed, epoch], or a DataLoader. Not with a DataLoader

    Returns
    -------
    Sum of the batches' mean losses.

    Raises
    ------
    ValueError
        The data does not fit the model, or an argument does not go with a DataLoader.
    FloatingPointError
        A loss is not finite; that batch's step is not taken.
    """
    loader = _make_loader(X, y, batch_size, shuffle, seed)
    if isinstance(X, DataLoader) or not loader.shuffle:
        order = loader.next_order()
    else:
        order = epoch_order(len(loader.X), None if seed is _UNSET else seed)
    losses = np.full(len(loader), np.nan)
    model.run_epoch(loader, order, lr, losses)
    return _sum(losses)


def fit(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    *,
    epochs: int = 20,
    lr: float | Callable[[int], float] = 1e-3,
    batch_size: int = _UNSET,
    shuffle: bool = _UNSET,
    seed: Seed = _UNSET,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    score_train: bool = False,
    callbacks: Iterable[Callable[[Record], Any]] = (),
    progress: bool | Literal["auto"] = "auto",
) -> History:
    """Train a model for some epochs.

    Parameters
    ----------
    model, X, y, batch_size, shuffle : as for `train_epoch`
    epochs : number of epochs
    lr : learning rate, or a function that gives it for each epoch from 0
    seed : epoch e visits the samples in the order of the seed [seed, e]
    validation_data : (X_test, y_test), whose macro F1 score is taken after each epoch
    score_train : take the macro F1 score of the training data after each epoch
    callbacks : functions called with each epoch's Record; one that returns True ends the run
    progress : show a bar on stderr; "auto" does where that is a terminal

    Returns
    -------
    History of the epochs that were completed. Ctrl-C ends the run after the current batch; then its
    `interrupted` is True.

    Raises
    ------
    ValueError
        An argument is bad, or the data does not fit the model.
    FloatingPointError
        A loss or a weight is not finite; the text names epoch and batch.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 0:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number from 0 up")
    loader = _make_loader(X, y, batch_size, shuffle, seed)
    model.check_loader(loader)
    test = None if validation_data is None else _make_test_loader(model, validation_data)
    history = History()
    callbacks = list(callbacks)
    # a program without a console has no stderr
    shown = sys.stderr is not None and sys.stderr.isatty() if progress == "auto" else progress
    bar = None
    try:
        if shown:
            bar = _Bar(len(loader), epochs)
            bar.start()
        for epoch in range(epochs):
            losses = np.full(len(loader), np.nan)
            rate = lr(epoch) if callable(lr) else lr
            if bar:
                bar.follow(losses)
            seconds = _timed_epoch(model, loader, rate, losses, epoch)
            record = Record(
                epoch=epoch,
                loss=_sum(losses),
                mean_loss=_sum(losses) / len(losses),
                f1_train=evaluate(model, loader.X, loader.y) if score_train else None,
                f1_test=evaluate(model, test.X, test.y) if test else None,
                seconds=seconds,
            )
            history.records.append(record)
            if any([callback(record) is True for callback in callbacks]):
                break
    except KeyboardInterrupt:
        history.interrupted = True
    finally:
        if bar:
            bar.close()
    return history


def _timed_epoch(model: MLP, loader: DataLoader, lr: float, losses: NDArray[Any], epoch: int) -> float:
    start = time.perf_counter()
    try:
        model.run_epoch(loader, loader.next_order(), lr, losses)
    except FloatingPointError as error:
        raise FloatingPointError(f"epoch {epoch}, {error}") from None
    return time.perf_counter() - start


def _make_loader(X: Any, y: Any, batch_size: Any, shuffle: Any, seed: Any) -> DataLoader:
    """Give X where it is a DataLoader, and one made of the arguments otherwise."""
    if isinstance(X, DataLoader):
        given = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
        named = [name for name, value in given.items() if value is not _UNSET]
        named += ["y"] if y is not None else []
        if named:
            raise ValueError(f"{', '.join(named)} cannot be given with a DataLoader, which has its own")
        return X
    if y is None:
        raise ValueError("y is missing: give labels, or a DataLoader in place of X")
    return DataLoader(
        X,
        y,
        batch_size=128 if batch_size is _UNSET else batch_size,
        shuffle=True if shuffle is _UNSET else shuffle,
        seed=None if seed is _UNSET else seed,
    )


def _make_test_loader(model: MLP, pair: tuple[ArrayLike, ArrayLike]) -> DataLoader:
    """Check test data before an epoch is spent."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(
            f"validation_data is of type {type(pair).__name__}, expected a pair (X_test, y_test)"
        )
    try:
        loader = DataLoader(*pair)
        model.check_loader(loader)
    except ValueError as error:
        raise ValueError(f"validation_data: {error}") from None
    return loader


def _sum(losses: NDArray[Any]) -> float:
    return float(losses.sum())


class _Bar:
    """A progress bar over the batches of all epochs, moved by a thread that looks at their losses."""

    def __init__(self, n_batches: int, epochs: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=epochs * n_batches, unit=" batches", unit_scale=True, dynamic_ncols=True, leave=False
        )
        self._now: tuple[int, NDArray[Any]] = 0, np.empty(0)  # batches of earlier epochs; this one's losses
        self._ended, self._wake = False, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        """Show the bar; close must follow, even if Ctrl-C comes in here."""
        self._thread.start()

    def close(self) -> None:
        """Show the last state, and end."""
        self._ended = True  # so the thread ends even if Ctrl-C comes in the next line
        self._wake.set()
        with contextlib.suppress(RuntimeError):  # not started, because Ctrl-C came first
            self._thread.join()
        self._bar.close()

    def follow(self, losses: NDArray[Any]) -> None:
        """Begin an epoch: a loss is NaN until its batch has come."""
        done, before = self._now
        self._now = done + len(before), losses

    def _look(self) -> None:
        while not self._ended:
            self._wake.wait(_BAR_SECONDS)
            done, losses = self._now
            self._bar.update(done + int(np.count_nonzero(~np.isnan(losses))) - self._bar.n)
