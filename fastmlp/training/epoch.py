"""One epoch of training."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.data import DataLoader, Seed, epoch_order
from fastmlp.model import MLP

UNSET: Any = object()  # so that an argument that a DataLoader already has cannot be given twice unnoticed


def train_epoch(
    model: MLP,
    X: ArrayLike | DataLoader,
    y: ArrayLike | None = None,
    lr: float = 1e-3,
    batch_size: int = UNSET,
    shuffle: bool = UNSET,
    seed: Seed = UNSET,
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
    loader = make_loader(X, y, batch_size, shuffle, seed)
    if isinstance(X, DataLoader) or not loader.shuffle:
        order = loader.next_order()
    else:
        order = epoch_order(len(loader.X), None if seed is UNSET else seed)
    losses = np.full(len(loader), np.nan)
    model.run_epoch(loader, order, lr, losses)
    return total(losses)


def make_loader(X: Any, y: Any, batch_size: Any, shuffle: Any, seed: Any) -> DataLoader:
    """Give X where it is a DataLoader, and one made of the arguments otherwise."""
    if isinstance(X, DataLoader):
        given = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
        named = [name for name, value in given.items() if value is not UNSET]
        named += ["y"] if y is not None else []
        if named:
            raise ValueError(f"{', '.join(named)} cannot be given with a DataLoader, which has its own")
        return X
    if y is None:
        raise ValueError("y is missing: give labels, or a DataLoader in place of X")
    return DataLoader(
        X,
        y,
        batch_size=128 if batch_size is UNSET else batch_size,
        shuffle=True if shuffle is UNSET else shuffle,
        seed=None if seed is UNSET else seed,
    )


def total(losses: NDArray[Any]) -> float:
    """Sum an epoch's losses."""
    return float(losses.sum())
