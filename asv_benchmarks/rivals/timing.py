"""How epochs and calls are timed."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastmlp.bench import timed
from fastmlp.data import epoch_order

from .base import Rival
from .workloads import rates_of

CHUNK_SECONDS = 0.01  # calls shorter than this are timed many at a time


def timed_epoch(rival: Rival, n: int, seed: list[int]) -> float:
    """Seconds of a fresh order and an epoch of it, which is the last number of the seed."""
    rates = rates_of(rival.task, seed[-1], n)
    start = time.perf_counter()
    losses = rival.epoch(epoch_order(n, seed), rates)
    seconds = time.perf_counter() - start
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"batch {int(np.isfinite(losses).argmin())}: the loss is not finite")
    return seconds


def timed_start(rival: Rival, X: np.ndarray, y: np.ndarray, epochs: int = 3) -> float:
    """Seconds of taking a data set and training on it."""
    start = time.perf_counter()
    rival.prepare(X, y)
    return time.perf_counter() - start + sum(timed_epoch(rival, len(X), [0, e]) for e in range(epochs))


def timed_calls(call: Callable[[], Any]) -> float:
    """Seconds of a call, the mean of as many as last long enough to be timed."""
    times = max(1, round(CHUNK_SECONDS / timed(call)()))
    return timed(call, times)()
