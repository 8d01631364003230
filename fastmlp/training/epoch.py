"""One epoch of training."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import schedules
from fastmlp.data import DataLoader, Seed, class_weights, epoch_order, prepare_weights
from fastmlp.model import MLP
from fastmlp.optimizers import SGD, Optimizer, Rate

UNSET: Any = object()  # so that an argument that a DataLoader already has cannot be given twice unnoticed


def train_epoch(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    lr: Rate | None = None,
    batch_size: int = UNSET,
    shuffle: bool = UNSET,
    seed: Seed = UNSET,
    *,
    optimizer: Optimizer | None = None,
    sample_weight: ArrayLike | None = UNSET,
    label_smoothing: float = 0.0,
    ema: float | None = None,
) -> float:
    """Train a model on every batch of a data set once.

    Parameters
    ----------
    model : MLP
    X : (n, n_in) real numbers with y their labels; or a DataLoader, which is faster for many epochs
    y : (n,) or (n, columns) labels or numbers, as `MLP.forward` takes them; not with a DataLoader
    lr : learning rate of plain gradient descent, 1e-3: a number, a schedule of this call's steps, or a
        function as an optimizer takes it; not with an optimizer
    batch_size : samples a batch, 128; not with a DataLoader
    shuffle : visit the samples in random order, True; not with a DataLoader
    seed : of that order: `default_rng(seed).permutation(n)`. The same number gives the same order at every
        call: for many epochs give [seed, epoch], or a DataLoader. Not with a DataLoader
    optimizer : SGD or Adam; what it accumulates stays with the model and goes on from call to call
    sample_weight : (n,) weights of the rows, from 0 up: weight 2 counts as the row twice, weight 0 as the row
        left out; a batch divides by its sum of weights. Not with a DataLoader
    label_smoothing : share, from 0 to below 1, of each label that goes to all classes alike
    ema : decay, between 0 and 1, of an exponential moving average of the weights, which inference then uses

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
    require_model(model)
    given = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed, "sample_weight": sample_weight}
    loader = make_loader(X, y, **given)
    if isinstance(X, DataLoader) or not loader.shuffle:
        order = loader.next_order()
    else:
        order = epoch_order(len(loader.X), None if seed is UNSET else seed)
    optimizer, losses = choose_optimizer(lr, optimizer), np.full(len(loader), np.nan)
    rates = schedules.rates(optimizer, 0, len(losses), len(losses))
    model.run_epoch(loader, order, rates, losses, optimizer, ema=ema, label_smoothing=label_smoothing)
    return total(losses)


def require_model(model: Any) -> None:
    """Raise ValueError for what is no MLP."""
    if not isinstance(model, MLP):
        raise ValueError(f"model is of type {type(model).__name__}, expected an MLP")


def choose_optimizer(lr: Rate | None, optimizer: Optimizer | None) -> Optimizer:
    """Give the optimizer, or plain gradient descent at the rate lr, 1e-3 where nothing is given."""
    if optimizer is None:
        return SGD(1e-3 if lr is None else lr)
    if lr is not None:
        raise ValueError("lr cannot be given with an optimizer, which has its own")
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer is {optimizer!r}, expected fastmlp.SGD(…) or fastmlp.Adam(…)")
    return optimizer


def make_loader(X: Any, y: Any, **given: Any) -> DataLoader:
    """Give X where it is a DataLoader, and one made of the arguments otherwise; UNSET ones are not given."""
    options = {name: value for name, value in given.items() if value is not UNSET}
    if isinstance(X, DataLoader):
        named = [*options, *(["y"] if y is not None else [])]
        if named:
            raise ValueError(f"{', '.join(named)} cannot be given with a DataLoader, which has its own")
        return X
    if y is None:
        raise ValueError("y is missing: give labels, or a DataLoader in place of X")
    class_weight = options.pop("class_weight", None)
    if class_weight is not None:
        weights, of_rows = class_weights(y, class_weight), options.get("sample_weight")
        if of_rows is not None:
            weights = weights * prepare_weights(of_rows, len(weights))
        options["sample_weight"] = weights
    return DataLoader(X, y, **({"batch_size": 128, "shuffle": True} | options))


def total(losses: NDArray[Any]) -> float:
    """Sum an epoch's losses."""
    return float(losses.sum())
