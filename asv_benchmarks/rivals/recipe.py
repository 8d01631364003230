"""What a child measures of the recipe of `fastmlp train --recipe 98`: from bytes to the last step."""

import time
from typing import Any

import numpy as np

from fastmlp.cli.recipe import EPOCHS

from .base import Rival, mean_of
from .measure import Child
from .timing import timed_epoch
from .workloads import read_digits


def cook(child: Child, rival: Rival, seed: int, X: np.ndarray, y: np.ndarray) -> float:
    """Prepare the data and train on it; the seconds."""
    weights = child.weights(seed)
    start = time.perf_counter()
    rival.prepare(X, y)
    rival.set_weights(weights)
    seconds = time.perf_counter() - start
    return seconds + sum(timed_epoch(rival, len(X), [seed, epoch]) for epoch in range(EPOCHS))


def recipe(child: Child) -> dict[str, Any]:
    """Time the recipe seed by seed, each with weights and orders of its own, and score the test digits.

    All is compiled, and the fastest setting found, on other data of the same shape: the digits in reverse.
    """
    X, y, X_test, y_test = read_digits(child.folder)
    others, mean = (X[::-1].copy(), y[::-1].copy()), mean_of(X)
    rivals, compiling = child.compile(*others)
    setting, tried = child.try_out({s: lambda r=r: cook(child, r, 0, *others) for s, r in rivals.items()})
    rival = rivals[setting]
    rivals.clear()
    runs: list[float] = []
    scores: list[float] = []
    while child.goes_on(runs, child.effort.seeds, 0.0, tried[setting]):
        runs.append(cook(child, rival, len(runs), X, y))
        scores.append(child.accuracy(rival, X_test, y_test, mean))
    return child.report(setting, tried, runs) | {"compile_s": compiling[setting], "scores": scores}
