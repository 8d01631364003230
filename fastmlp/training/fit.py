"""Many epochs of training, with scores, a history and a progress bar."""

import contextlib
import os
import reprlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastmlp import schedules
from fastmlp.checks import check_optimizer, check_smoothing
from fastmlp.data import DataLoader, Seed
from fastmlp.data.labels import warn_of_absent_classes
from fastmlp.metrics import METRICS, evaluate
from fastmlp.model import MLP
from fastmlp.numbers import truth
from fastmlp.optimizers import Optimizer, Rate

from .checkpoint import Checkpoint, Writer, as_checkpoint, begin_run, describe_run, needs_total, resume_run
from .epoch import UNSET, choose_optimizer, make_loader, require_model, total
from .history import History, Record
from .progress import Bar
from .stopping import EarlyStopping, Watch


def fit(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    *,
    epochs: int = 20,
    lr: Rate | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int = UNSET,
    shuffle: bool = UNSET,
    seed: Seed = UNSET,
    sample_weight: ArrayLike | None = UNSET,
    class_weight: str | Mapping[int, float] | None = UNSET,
    label_smoothing: float = 0.0,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    score_train: bool = False,
    early_stopping: EarlyStopping | None = None,
    ema: float | None = None,
    callbacks: Iterable[Callable[[Record], Any]] = (),
    checkpoint: str | os.PathLike | Checkpoint | None = None,
    resume: str | os.PathLike | None = None,
    history: History | None = None,
    progress: bool | Literal["auto"] = "auto",
) -> History:
    """Train a model for some epochs.

    Parameters
    ----------
    model, X, y, batch_size, shuffle, sample_weight, label_smoothing : as for `train_epoch`
    epochs : number of epochs
    lr : learning rate of plain gradient descent, 1e-3: a number, a schedule of the run's steps, or a function
        of the epoch from 0, or of steps and total; not with an optimizer
    optimizer : SGD or Adam; what it accumulates stays with the model and goes on from call to call
    seed : epoch e visits the samples in the order of the seed [seed, e]
    class_weight : weight of each class, 1 for those it does not name, or "balanced", by which the classes
        weigh alike: n / (classes * samples of the class); times sample_weight where both are given; not with
        a DataLoader
    validation_data : (X_test, y_test), whose loss and score, as `evaluate` has it, are taken after each epoch
    score_train : take the score of the training data, by their weights, after each epoch
    early_stopping : EarlyStopping, which ends the run and says which weights it leaves
    ema : decay, between 0 and 1, of an exponential moving average of the weights, which scores and inference
        then use
    callbacks : functions called with each epoch's Record; one that returns True ends the run
    checkpoint : file that the run can be completed from, written at ends of epochs, at most once a second,
        and always when the run ends in any way; or a Checkpoint, which says when
    resume : checkpoint of a run that was cut, which is completed to the bits that it would have had: `epochs`
        counts from its beginning. The other arguments are those of that run, and the model is one of the same
        kind, whatever its weights; of a rate that is a function only the name is compared. A finished run
        trains nothing. It may be the file that `checkpoint` writes
    history : of a finished run, whose model trains on for `epochs` more: numbers and orders of the epochs run
        on, and so do rates, unless they depend on the length of the run: then they start anew
    progress : show a bar on stderr; "auto" does where that is a terminal or a notebook

    Returns
    -------
    History of the epochs that were completed, with those of `resume` or `history` before them. However the
    run ends, the model holds the weights, and what training keeps beside them, of the best epoch with early
    stopping, and of the last completed one without. Where an epoch's first batch has no finite loss, the
    epoch before counts as not completed.

    Raises
    ------
    ValueError
        An argument is bad, or the data does not fit the model; the file of `resume` is damaged or of another
        run, whose first difference the text names.
    FileNotFoundError
        There is no file to resume from.
    OSError
        A checkpoint cannot be written; an older one is still there.
    FloatingPointError
        A loss or a weight is not finite; the text names epoch and batch.
    KeyboardInterrupt
        Ctrl-C, after the current batch; the history's `interrupted` is True.

    These, and errors of callbacks and scores, have the history so far as their attribute `history`.

    Warns
    -----
    UserWarning
        Fewer than half of the model's classes occur in y.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 0:
        raise ValueError(f"epochs is {epochs!r}, expected a whole number from 0 up")
    require_model(model)
    optimizer = choose_optimizer(lr, optimizer)
    weights = {"sample_weight": sample_weight, "class_weight": class_weight}
    loader = make_loader(X, y, batch_size=batch_size, shuffle=shuffle, seed=seed, **weights)
    options = {"ema": ema, "label_smoothing": check_smoothing(label_smoothing, model.output)}
    model.check_loader(loader)
    if model.output == "softmax":
        warn_of_absent_classes(loader.labels_for(model.output, model.n_out), model.n_out)
    test = None if validation_data is None else _make_test_loader(model, validation_data)
    if not isinstance(early_stopping, EarlyStopping | None):
        raise ValueError(f"early_stopping is {early_stopping!r}, expected fastmlp.EarlyStopping(…) or None")
    by_score = early_stopping is not None and early_stopping.monitor == "score" and test is None
    if history is not None and resume is not None:
        raise ValueError("history and resume cannot both be given: a checkpoint has the history of its run")
    callbacks, shown = _functions(callbacks), _wants_bar(progress)
    score_train = truth("score_train", score_train)
    check_optimizer(optimizer, len(model.sizes) - 1, ema, model.dtype)
    checkpoint, run = as_checkpoint(checkpoint), begin_run(loader, history)
    forget_center = model.find_center(loader)  # the first thing that changes it
    watch, facts, broken = Watch(model, early_stopping), {}, False
    try:
        if checkpoint is not None or resume is not None:
            facts = describe_run(model, loader, test, optimizer, early_stopping, epochs, **options)
        if resume is not None:
            run = resume_run(resume, facts, model, loader, watch)
    except BaseException:
        forget_center()
        raise
    history, begin, end = run.history, run.history.next_epoch, run.first + epochs
    zero = run.first if needs_total(optimizer) else 0  # the epoch that steps are counted from
    metric, bar, record = METRICS[model.output], None, None
    try:
        if shown:
            bar = Bar(len(loader), max(0, end - begin))
            bar.start()
        with Writer(checkpoint, facts, run, model, watch) as writer:
            for epoch in [] if run.ended else range(begin, end):
                losses = np.full(len(loader), np.nan)
                n = len(losses)
                rates = schedules.rates(optimizer, (epoch - zero) * n, n, (end - zero) * n, epoch)
                if bar:
                    bar.follow(losses)
                seconds = _timed_epoch(epoch, model, loader, watch, rates, losses, optimizer, **options)
                loss = total(losses)
                scored = loader.X, loader.y, loader.weights
                of_train = evaluate(model, *scored) if score_train or by_score else None
                of_test = evaluate(model, test.X, test.y) if test else None
                record = Record(
                    epoch=epoch,
                    loss=loss,
                    mean_loss=loss / len(losses),
                    f1_train=of_train if metric == "f1" else None,
                    f1_test=of_test if metric == "f1" else None,
                    seconds=seconds,
                    validation_loss=model.loss(test.X, test.y) if test else None,
                    score_train=of_train,
                    score_test=of_test,
                    rate=float(rates[-1, 0]),
                    metric=metric,
                )
                history.records.append(record)
                run.ended = watch.ended(record)
                writer.epoch_ended()
                with bar.aside() if bar and callbacks else contextlib.nullcontext():
                    answers = [callback(record) for callback in callbacks]
                if any(map(_is_true, answers)):
                    run.ended = True
                if run.ended:
                    break
    except BaseException as error:
        broken = True
        if history.records and history.records[-1] is record and not watch.has_seen(record):
            history.records.pop()
        history.interrupted = isinstance(error, KeyboardInterrupt)
        with contextlib.suppress(AttributeError):  # an error of others that cannot be written to
            error.history = history  # type: ignore[attr-defined]
        raise
    finally:
        try:
            watch.restore(broken)
            if broken:
                forget_center()
        finally:
            if bar:
                bar.close()
    return history


def _functions(callbacks: Any) -> list[Callable[[Record], Any]]:
    functions: list[Any] = list(callbacks) if np.iterable(callbacks) else [None]
    if not all(map(callable, functions)):
        raise ValueError(f"callbacks is {reprlib.repr(callbacks)}, expected functions of a record, in a list")
    return functions


def _wants_bar(progress: bool | Literal["auto"]) -> bool:
    if not isinstance(progress, str):
        return truth("progress", progress)
    if progress != "auto":
        raise ValueError(f"progress is {progress!r}, expected True, False or 'auto'")
    if sys.stderr is None:  # a program without a console
        return False
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")  # a notebook's


def _is_true(answer: Any) -> bool:
    """Whether a callback's answer is True, be it Python's, or a single one of an array library's."""
    scalar = getattr(answer, "shape", None) == () and str(getattr(answer, "dtype", "")).endswith("bool")
    return answer is True or scalar and bool(answer)


def _timed_epoch(
    epoch: int,
    model: MLP,
    loader: DataLoader,
    watch: Watch,
    rates: Any,
    losses: Any,
    *args: Any,
    **options: Any,
) -> float:
    start = time.perf_counter()
    order = loader.next_order()
    try:
        model.run_epoch(loader, order, rates, losses, *args, **options)
    except FloatingPointError as error:
        if not np.isfinite(losses[0]):  # it was the epoch before that went too far
            watch.go_back()
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
