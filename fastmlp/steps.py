"""Steps of an optimizer: what training keeps beside the weights, and what the operations are told."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.optimizers import KINDS, SETTINGS

from .ops import Operations
from .optimizers import Optimizer
from .parameters import Arena, aligned_zeros

_Array = NDArray[Any]


class Kept:
    """What training keeps beside the weights, in their layout: the optimizer's state, and an average of them.

    Attributes
    ----------
    family : "adam", "momentum" or "sgd", whose state it is; None before the first step
    steps : taken by that optimizer
    all_steps : taken by any, which with dropout_seed says what dropout draws
    rows : (n_kept, size) velocity, or Adam's m and v, then the average where there is one
    has_average : whether it is there
    """

    ROWS = {None: 0, "sgd": 0, "momentum": 1, "adam": 2}

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.family: str | None = None
        self.steps, self.all_steps, self.dropout_seed, self.has_average = 0, 0, 0, False
        self.rows: _Array = np.zeros((0, 0), arena.block.dtype)

    def begin(self, family: str | None, averaged: bool) -> None:
        """Have what this family of optimizers keeps, as it was or zeros; an average begins as the weights."""
        kept, same = self.ROWS[family], self.family == family
        if same and self.has_average == averaged:
            return
        block = self._arena.block
        rows = aligned_zeros((kept + averaged) * len(block), block.dtype).reshape(kept + averaged, len(block))
        if same:
            rows[:kept] = self.rows[:kept]
        else:
            self.family, self.steps = family, 0
        if averaged:
            rows[-1] = block
        self.rows, self.has_average = rows, averaged

    @property
    def average(self) -> _Array:
        """The average's numbers, in the layout of the arena's block."""
        return self.rows[-1]

    def pairs(self, row: int) -> list[tuple[_Array, _Array]]:
        """View a row's numbers as the arena views w and b of every layer."""
        return self._arena.pairs(self.rows[row])

    def read(self) -> dict[str, Any]:
        """Copy all of it into plain arrays."""
        rows = [self._arena.read(row) for row in self.rows]
        average = rows.pop() if self.has_average else None
        numbers = {name: getattr(self, name) for name in ("steps", "all_steps", "dropout_seed")}
        return {"optimizer": self.family, **numbers, "state": rows, "average": average}

    def write(self, kept: dict[str, Any]) -> None:
        """Take over what `read` gave."""
        average = [] if kept["average"] is None else [kept["average"]]
        self.begin(None, False)
        self.begin(kept["optimizer"], bool(average))
        for name in ("steps", "all_steps", "dropout_seed"):
            setattr(self, name, kept[name])
        for row, arrays in enumerate([*kept["state"], *average]):
            self._arena.fill(self.rows[row], arrays)


def family_of(optimizer: Optimizer) -> str:
    """Name those that go on from each other's state: a velocity serves with Nesterov and without."""
    return "momentum" if optimizer.kind == "nesterov" else optimizer.kind


def rate_factors(optimizer: Optimizer, n_layers: int) -> NDArray[np.float64]:
    """Factors of the learning rate, (n_layers, 2): of a layer's weights, and of its biases."""
    of_layers = np.ones(n_layers) if optimizer.layer_lr is None else np.array(optimizer.layer_lr, np.float64)
    return np.column_stack([of_layers, of_layers * optimizer.bias_lr])


def settings_of(
    optimizer: Optimizer, kept: Kept, ema: float | None, smoothing: float, loss_limit: float
) -> _Array:
    """Make the record of what `train_epoch` is told of an optimizer, dropout, labels and losses."""
    record = np.zeros(1, SETTINGS)
    record["kind"], record["ema"], record["smoothing"] = KINDS.index(optimizer.kind), ema or 0, smoothing
    record["loss_limit"] = loss_limit
    record["steps"], record["all_steps"], record["seed"] = kept.steps, kept.all_steps, kept.dropout_seed
    for name in vars(optimizer).keys() & set(SETTINGS.names or ()):
        record[name] = getattr(optimizer, name)
    return record


def weighted_mean(losses: _Array, weights: _Array | None) -> tuple[float, float]:
    """Average a batch's losses as an epoch does; give the sum of weights too."""
    # one after the other: np.sum would add in pairs
    if weights is None:
        return float(np.add.accumulate(losses)[-1]) / len(losses), float(len(losses))
    total, counted = float(np.add.accumulate(weights)[-1]), weights > 0
    if not total:
        return 0.0, 0.0
    return float(np.add.accumulate(weights[counted] * losses[counted])[-1]) / total, total


def steps_in(order: _Array, batch_size: int, weights: _Array | None, n_batches: int) -> int:
    """Count the steps that an epoch's first batches take: none where a batch's weights are all 0."""
    if weights is None:
        return n_batches
    starts = np.arange(0, order.shape[-1], batch_size)
    taken = np.logical_or.reduceat(np.atleast_2d(weights[order] > 0), starts, axis=1)
    return int(np.count_nonzero(taken.ravel()[:n_batches]))


def take_losses(
    ops: Operations,
    output: str,
    z: _Array,
    labels: _Array,
    dz: _Array,
    weights: _Array | None,
    smoothing: float,
    limit: float = math.inf,
) -> NDArray[np.float64]:
    """Compute each row's loss, and the gradient of their weighted mean."""
    losses = np.empty(len(z))
    if output in ("softmax", "logistic"):
        loss = ops.softmax_cross_entropy if output == "softmax" else ops.logistic_cross_entropy
        loss(z, labels, dz, losses, weights, smoothing, limit)
    else:
        (ops.squared_error if output == "identity" else ops.poisson_deviance)(z, labels, dz, losses, weights)
    return losses


def take_step(
    ops: Operations, arena: Arena, kept: Kept, optimizer: Optimizer, rates: _Array, total_weight: float
) -> None:
    """Step every parameter by the gradients in the arena, as `train_epoch` does; no average is moved."""
    kept.steps, kept.all_steps = kept.steps + 1, kept.all_steps + 1
    lr, momentum = rates.tolist()
    rows = [kept.pairs(row) for row in range(len(kept.rows))]
    factors = rate_factors(optimizer, len(arena.table)).tolist()
    penalties = (optimizer.l2 / total_weight, optimizer.weight_decay), (0.0, 0.0)
    layers = zip(factors, arena.pairs(arena.block), arena.gradients(), *rows, strict=True)
    for of_layer, *pairs in layers:
        for factor, given, *arrays in zip(of_layer, penalties, *pairs, strict=True):
            optimizer.move(ops, arrays, lr * factor, momentum, kept.steps, given)
