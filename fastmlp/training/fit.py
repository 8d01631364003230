"""Many epochs of training, with scores, a history and a progress bar."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastmlp import schedules
from fastmlp.data import DataLoader, Seed
from fastmlp.metrics import evaluate
from fastmlp.model import MLP
from fastmlp.optimizers import SGD, Adam, Rate

from .epoch import UNSET, choose_optimizer, make_loader, total
from .history import History, Record
from .progress import Bar
from .stopping import EarlyStopping, Watch, cross_entropy


def fit(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    *,
    epochs: int = 20,
    lr: Rate | None = None,
    optimizer: SGD | Adam | None = None,
    batch_size: int = UNSET,
    shuffle: bool = UNSET,
    seed: Seed = UNSET,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    score_train: bool = False,
    early_stopping: EarlyStopping | None = None,
    ema: float | None = None,
    callbacks: Iterable[Callable[[Record], Any]] = (),
    progress: bool | Literal["auto"] = "auto",
) -> History:
    """Train a model for some epochs.

    Parameters
    ----------
    model, X, y, batch_size, shuffle : as for `train_epoch`
    epochs : number of epochs
    lr : learning rate of plain gradient descent, 1e-3: a number, a schedule of the run's steps, or a function
        of the epoch from 0, or of steps and total; not with an optimizer
    optimizer : SGD or Adam; what it accumulates stays with the model and goes on from call to call
    seed : epoch e visits the samples in the order of the seed [seed, e]
    validation_data : (X_test, y_test), whose loss and score, macro F1, are taken after each epoch
    score_train : take the score of the training data after each epoch
    early_stopping : EarlyStopping, which ends the run and says which weights it leaves
    ema : decay, between 0 and 1, of an exponential moving average of the weights, which scores and inference
        then use
    callbacks : functions called with each epoch's Record; one that returns True ends the run
    progress : show a bar on stderr; "auto" does where that is a terminal

    Returns
    -------
    History of the epochs that were completed. However the run ends, the model holds the weights, and what
    training keeps beside them, of the best epoch with early stopping, and of the last completed one without.

    Raises
    ------
    ValueError
        An argument is bad, or the data does not fit the model.
    FloatingPointError
        A loss or a weight is not finite; the text names epoch and batch.
    KeyboardInterrupt
        Ctrl-C, after the current batch; the history's `interrupted` is True.

    These, and errors of callbacks and scores, have the history so far as their attribute `history`.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 0:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number from 0 up")
    optimizer = choose_optimizer(lr, optimizer)
    loader = make_loader(X, y, batch_size, shuffle, seed)
    model.check_loader(loader)
    test = None if validation_data is None else _make_test_loader(model, validation_data)
    if not isinstance(early_stopping, EarlyStopping | None):
        raise ValueError(f"early_stopping is {early_stopping!r}, expected fastmlp.EarlyStopping(…) or None")
    by_score = early_stopping is not None and early_stopping.monitor == "score" and test is None
    model.find_center(loader)
    history, watch, broken = History(), Watch(model, early_stopping), False
    callbacks = list(callbacks)
    shown, bar = _wants_bar(progress), None
    try:
        if shown:
            bar = Bar(len(loader), epochs)
            bar.start()
        for epoch in range(epochs):
            losses = np.full(len(loader), np.nan)
            n = len(losses)
            rates = schedules.rates(optimizer, epoch * n, n, epochs * n, epoch)
            if bar:
                bar.follow(losses)
            seconds = _timed_epoch(epoch, model, loader, rates, losses, optimizer, ema)
            loss = total(losses)
            of_train = evaluate(model, loader.X, loader.y) if score_train or by_score else None
            of_test = evaluate(model, test.X, test.y) if test else None
            record = Record(
                epoch=epoch,
                loss=loss,
                mean_loss=loss / len(losses),
                f1_train=of_train,
                f1_test=of_test,
                seconds=seconds,
                validation_loss=cross_entropy(model, test) if test else None,
                score_train=of_train,
                score_test=of_test,
                rate=float(rates[-1, 0]),
            )
            history.records.append(record)
            stop = watch.ended(record)
            if any([_is_true(callback(record)) for callback in callbacks]) or stop:
                break
    except BaseException as error:
        broken = isinstance(error, KeyboardInterrupt | FloatingPointError)
        history.interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(AttributeError):  # an error of others that cannot be written to
            error.history = history  # type: ignore[attr-defined]
        raise
    finally:
        if bar:
            bar.close()
        if history.records or broken:
            watch.restore(broken)
    return history


def _wants_bar(progress: bool | Literal["auto"]) -> bool:
    if not isinstance(progress, str):
        return bool(progress)
    if progress != "auto":
        raise ValueError(f"progress is {progress!r}, expected True, False or 'auto'")
    return sys.stderr is not None and sys.stderr.isatty()  # a program without a console has no stderr


def _is_true(answer: Any) -> bool:
    """Whether a callback's answer is True, be it Python's, or a single one of an array library's."""
    scalar = getattr(answer, "shape", None) == () and str(getattr(answer, "dtype", "")).endswith("bool")
    return answer is True or scalar and bool(answer)


def _timed_epoch(epoch: int, model: MLP, loader: DataLoader, *args: Any) -> float:
    *given, ema = args
    start = time.perf_counter()
    try:
        model.run_epoch(loader, loader.next_order(), *given, ema=ema)
    except FloatingPointError as error:
        raise FloatingPointError(f"epoch {epoch}, {error}") from None
    return time.perf_counter() - start


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
