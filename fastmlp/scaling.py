"""What becomes of inputs on their way in: (x - center) * scale."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import checks
from .config import Config
from .data import DataLoader
from .ops import Operations
from .parameters import Layer
from .weights import Weighted

FAR = 1000  # times the scale: so far from 0 that sums which start from a center lose digits
_BLOCK = 256  # rows: bytes of so many add up to less than 2**16
_CHUNK = 4096  # rows that inference has a copy of at a time


class Scaled(Weighted):
    """The part of a model that centers and scales its inputs.

    x * scale - center * scale is computed as s + shift. Where s is 0 it is skipped, so the shift is not added
    to it: the first layer's sums start from b + shift @ w, and its dw is x.T @ dz + outer(shift, db). Only
    inputs of which dropout leaves some out are shifted themselves.
    """

    def _set_up(self, config: Config, ops: Operations) -> None:
        super()._set_up(config, ops)
        self._scale: Any = np.asarray(config.scale, config.dtype)[()]
        self._shift = shift_of(config)

    def find_center(self, loader: DataLoader) -> Callable[[], None]:
        """Take the data set's mean, where the center is to be that of the first one; what `fit` calls.

        Returns
        -------
        forget : a function that has the center as it was, unless the model has taken a step since

        Warns
        -----
        UserWarning
            The center is so far from 0 that digits are lost.
        """
        before, steps = (self._config, self._shift), self._kept.all_steps
        if self.center == "mean":
            with self._turns:
                self._take_mean(loader)
        farthest = float(np.abs(self._shift).max(initial=0.0))
        if farthest > FAR:
            warnings.warn(
                f"center times scale reaches {farthest:g}, and sums that start so far from 0 lose digits; "
                "standardise the data instead: without a center, give (X - X.mean(axis=0)) / s, where s is "
                "X.std(axis=0), and 1 where that is 0",
                stacklevel=3,
            )

        def forget() -> None:
            if self._kept.all_steps == steps:
                self._config, self._shift = before

        return forget

    def _take_mean(self, loader: DataLoader) -> None:
        if self._config.center == "mean":
            kind = self._config.sizes[0], self._config.scale, self.dtype
            config = self._config._replace(center=checks.check_center(column_means(loader.X), *kind))
            self._config, self._shift = config, shift_of(config)

    def _require_center(self) -> None:
        if self._config.center == "mean":
            raise RuntimeError(
                "center is the mean of the first training data, and there were none: call fit or train_epoch "
                "first, or give a vector"
            )

    @property
    def _is_split(self) -> bool:
        """Whether the shift goes its own ways."""
        return self._shift.size > 0 and not self.dropout[0]

    def _center_first(self, first: Layer) -> Layer:
        """Give the first layer as a forward pass sees it: its inputs shifted, or its biases."""
        if self._is_split:
            b = np.empty_like(first.b)
            self._ops.linear_forward(self._shift[None], first.w, first.b, b[None])
            return first._replace(b=b)
        if self._shift.size:
            first.x[...] += self._shift
        return first

    def _epoch_inputs(
        self, loader: DataLoader, n_epochs: int
    ) -> tuple[NDArray[Any], tuple[Any, NDArray[Any], NDArray[np.uint64]], NDArray[Any] | None]:
        """Give what an epoch reads: X; the scale left to do, the shift, and masks where zeros stay zeros.

        Last what the bytes of X stand for, where they are no numbers.
        """
        X, scale, masks, values = loader.X, self._scale, loader.prepare(self._ops).masks, None
        dense = self._shift.size > 0 and not self._is_split
        if scale.ndim or (dense and X.dtype == np.uint8):
            X, scale = loader.scaled(scale), self.dtype.type(1)
        elif not dense and (coded := loader.coded(self._ops, n_epochs)):
            X, values = coded[0], coded[1].astype(self.dtype) * scale
        return X, (scale, self._shift, masks[:0, :0] if dense else masks), values

    def _infer(self, X: NDArray[Any], logits: NDArray[Any]) -> None:
        """Write the logits of inputs that have been checked."""
        self._require_center()
        parameters, table, one = self._parameters, self._arena.table, self.dtype.type(1)
        if self._scale.ndim == 0:
            self._ops.infer(parameters, table, X, self._scale, self._shift, logits)
            return
        for first in range(0, len(X), _CHUNK):
            rows = slice(first, first + _CHUNK)
            scaled = X[rows].astype(self.dtype) * self._scale
            self._ops.infer(parameters, table, scaled, one, self._shift, logits[rows])


def shift_of(config: Config) -> NDArray[Any]:
    """Compute -center * scale, rounded to the model's dtype; empty where there is no center, or none yet."""
    if config.center is None or config.center == "mean":
        return np.empty(0, config.dtype)
    scale = np.asarray(config.scale, config.dtype).astype(np.float64)
    return (-np.array(config.center) * scale).astype(config.dtype)


def column_means(X: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the mean of each column in float64, in one order whatever the layout; bytes exactly."""
    kind: Any = (np.uint16, np.uint64) if X.dtype == np.uint8 else (np.float64, np.float64)
    total = np.zeros(X.shape[1], kind[1])
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        for first in range(0, len(X), _BLOCK):
            block = np.ascontiguousarray(X[first : first + _BLOCK])
            total += np.add.reduce(block, axis=0, dtype=kind[0])
    return total / len(X)
