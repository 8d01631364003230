"""What a rival is: a library that trains the same network on the same batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Task:
    """What is trained, and how: plain gradient descent at rate `lr` on inputs multiplied by `scale`.

    A recipe has more. Rates are given step by step, with momentum and Nesterov's look ahead:
    v = momentum v - rate g;  w = w + momentum v - rate g. A share of each label, the smoothing, goes to all
    classes alike. Where `center` is true, inputs lose the data set's mean before they are scaled.
    """

    sizes: tuple[int, ...]
    batch_size: int
    lr: float
    scale: float = 1.0
    momentum: float = 0.0
    smoothing: float = 0.0
    center: bool = False


class Rival:
    """A library, set up for a task.

    The order of calls: `prepare`, `set_weights`, then any number of `epoch`. All may be called again; what is
    compiled is then not compiled again.

    Parameters
    ----------
    task : Task
    threads : how many to compute with; what the environment must say, it says before this process starts
    setting : one of `settings`
    """

    def __init__(self, task: Task, threads: int, setting: str) -> None:
        self.task, self.threads, self.setting = task, threads, setting

    @classmethod
    def settings(cls, dtype: np.dtype, training: bool = True) -> list[str]:
        """Name the ways worth trying for inputs of this dtype; the fastest is kept."""
        return ["as given"]

    def prepare(self, X: np.ndarray, y: np.ndarray) -> None:
        """Take a data set: X (n, n_in) uint8 or float32, y (n,) uint8; part of the time to an accuracy."""
        raise NotImplementedError

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Start from float32 copies of [W1, b1, W2, b2, …], W (n_in, n_out), and with no velocity."""
        raise NotImplementedError

    def get_weights(self) -> list[np.ndarray]:
        """Give the weights as `set_weights` takes them."""
        raise NotImplementedError

    def epoch(self, order: np.ndarray, rates: np.ndarray | None = None) -> np.ndarray:
        """Train on the rows of `order`, int64, batch by batch, the last one short where it must be.

        A recipe comes with `rates`, float64 (n_batches,), and momentum; other tasks with neither.

        Returns
        -------
        losses : (n_batches,), the mean loss of each batch before its step; all work is done on return
        """
        raise NotImplementedError

    def classifier(self, X: np.ndarray) -> Callable[[], Any]:
        """Make a call that names the likeliest class of each row of X, uint8 (n, n_in).

        X is brought into the library's own arrays here, outside of the call. The call returns when its result
        is there, an array that `np.asarray` takes.
        """
        raise NotImplementedError


def float_inputs(X: np.ndarray, scale: float, center: bool = False) -> np.ndarray:
    """Convert X, centered where asked for, to float32 times scale; float32 times 1 is not copied."""
    if center:
        floats = X - mean_of(X)
        floats *= np.float32(scale)
        return floats
    floats = X.astype(np.float32, copy=False)
    return floats if scale == 1 else floats * np.float32(scale)


def mean_of(X: np.ndarray) -> np.ndarray:
    """Mean of each column, float32."""
    return X.mean(axis=0).astype(np.float32)


def input_settings(dtype: np.dtype) -> list[str]:
    """Bytes may stay bytes until their batch, or be converted once, which is four times the memory."""
    return ["uint8", "float32"] if dtype == np.uint8 else ["float32"]


def pairs(flat: Sequence[Any]) -> list[tuple[Any, Any]]:
    """[W1, b1, W2, b2, …] -> [(W1, b1), (W2, b2), …]."""
    return list(zip(flat[::2], flat[1::2], strict=True))
