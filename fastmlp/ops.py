"""The operations that a model calls: those of `fastmlp.kernels`, or of `fastmlp.reference`."""

import functools
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import DTypeLike, NDArray

import fastmlp.kernels as kernels  # in this form, because mypy has no way to its sources

_Array = NDArray[Any]
# as the kernels found it, which were just imported
_JIT_IS_OFF = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]


class Operations(Protocol):
    """What `ops` is: a module with these functions, which the kernels' docstrings describe."""

    __name__: str  # copies and pickles of a model find the module by it

    def plan(
        self,
        sizes: Sequence[int],
        batch_size: int,
        dtype: DTypeLike,
        activations: Sequence[str] | None = None,
        output: str = "softmax",
        dropout: tuple[float, float] = (0.0, 0.0),
        centered: bool = False,
    ) -> tuple[_Array, int]:
        """Lay out parameters and workspaces in one array."""

    def scan(self, x: _Array) -> tuple[bool, float, float]:
        """Tell whether all is finite, the largest magnitude, and the share of what is not 0."""

    def zero_masks(self, x: _Array, masks: NDArray[np.uint64]) -> None:
        """Mark what is not 0."""

    def byte_codes(
        self, x: _Array, masks: NDArray[np.uint64], codes: NDArray[np.uint8], values: _Array
    ) -> bool:
        """Mark it, and give x as bytes if it has few values."""

    def linear_forward(self, x: _Array, w: _Array, b: _Array, y: _Array) -> None:
        """y = x @ w + b."""

    def linear_relu_forward(self, x: _Array, w: _Array, b: _Array, y: _Array) -> None:
        """y = max(x @ w + b, 0)."""

    def linear_backward(
        self, x: _Array, w: _Array, dy: _Array, dx: _Array | None, dw: _Array, db: _Array
    ) -> None:
        """Give the gradients of `linear_forward`."""

    def linear_relu_backward(
        self, x: _Array, w: _Array, y: _Array, dy: _Array, dx: _Array | None, dw: _Array, db: _Array
    ) -> None:
        """Give the gradients of `linear_relu_forward`; dy is consumed."""

    def add_outer(self, dw: _Array, shift: _Array, db: _Array) -> None:
        """dw = dw + outer(shift, db)."""

    def linear_activation_forward(
        self, x: _Array, w: _Array, b: _Array, activation: str, z: _Array, y: _Array
    ) -> None:
        """z = x @ w + b;  y = activation(z)."""

    def linear_activation_backward(
        self,
        x: _Array,
        w: _Array,
        y: _Array,
        z: _Array,
        dy: _Array,
        activation: str,
        dx: _Array | None,
        dw: _Array,
        db: _Array,
    ) -> None:
        """Give the gradients of `linear_activation_forward`; dy is consumed."""

    def dropout(self, x: _Array, y: _Array, rate: float, seed: int, step: int, layer: int) -> None:
        """y = x / (1 - rate), or 0 with the probability rate."""

    def softmax_cross_entropy(
        self,
        logits: _Array,
        labels: _Array,
        dlogits: _Array,
        losses: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
        smoothing: float = 0.0,
        limit: float = np.inf,
    ) -> None:
        """Give each row's loss, and the gradient of their weighted mean."""

    def logistic_cross_entropy(
        self,
        z: _Array,
        targets: _Array,
        dz: _Array,
        losses: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
        smoothing: float = 0.0,
        limit: float = np.inf,
    ) -> None:
        """Give the same of units that are labels of their own."""

    def squared_error(
        self,
        z: _Array,
        targets: _Array,
        dz: _Array,
        losses: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Give the same of half the squared error."""

    def poisson_deviance(
        self,
        z: _Array,
        targets: _Array,
        dz: _Array,
        losses: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Give the same of half the Poisson deviance of means exp(z)."""

    def sgd_step(self, w: _Array, dw: _Array, lr: Any, l2: Any = 0.0, weight_decay: Any = 0.0) -> None:
        """w = w - lr * dw, with decay."""

    def momentum_step(
        self,
        w: _Array,
        dw: _Array,
        v: _Array,
        lr: Any,
        momentum: Any,
        nesterov: bool = False,
        l2: Any = 0.0,
        weight_decay: Any = 0.0,
    ) -> None:
        """Step with a velocity."""

    def adam_step(
        self,
        w: _Array,
        dw: _Array,
        m: _Array,
        v: _Array,
        lr: Any,
        beta_1: Any,
        beta_2: Any,
        epsilon: Any,
        step: int,
        l2: Any = 0.0,
        weight_decay: Any = 0.0,
    ) -> None:
        """Step by the means of the gradient and of its square."""

    def ema_step(self, average: _Array, w: _Array, decay: Any) -> None:
        """Move an average towards w."""

    def train_epoch(
        self,
        arena: _Array,
        table: _Array,
        state: _Array,
        x: _Array,
        labels: _Array,
        weights: NDArray[np.float64],
        order: NDArray[np.int64],
        batch_size: int,
        settings: _Array,
        rates: NDArray[np.float64],
        factors: NDArray[np.float64],
        scale: Any,
        shift: _Array,
        masks: NDArray[np.uint64],
        stop: NDArray[np.int64],
        losses: NDArray[np.float64],
        squares: NDArray[np.float64] | None = None,
        values: _Array | None = None,
    ) -> int:
        """Train on every batch of an epoch, or of several; return the batches completed."""

    def infer(
        self, arena: _Array, table: _Array, x: _Array, scale: Any, shift: _Array, logits: _Array
    ) -> None:
        """Run all layers forward for every row."""


def check_ops(ops: Operations) -> Operations:
    """Give the operations; where Numba's JIT is off, the reference in place of the kernels."""
    missing = [name for name in kernels.__all__ if not callable(getattr(ops, name, None))]
    if missing:
        raise ValueError(
            f"ops is {ops!r}, which has no {missing[0]}; expected fastmlp.kernels or fastmlp.reference"
        )
    if ops is not kernels or not _JIT_IS_OFF:
        return ops
    from . import reference  # of no use to most

    _warn_once()
    return reference


@functools.cache
def _warn_once() -> None:
    warnings.warn(
        "NUMBA_DISABLE_JIT is set: fastmlp computes with fastmlp.reference, in NumPy and slowly; unset it or "
        "give ops=fastmlp.reference if this is meant",
        stacklevel=2,
    )
