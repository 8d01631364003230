"""What a child measures of the race to an accuracy, and the learning rate that it is run with."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from .base import Rival
from .measure import Child
from .timing import timed_epoch, timed_start
from .workloads import HELD_BACK, TARGET, read_digits

RATES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
MOST_EPOCHS = 40
Digits = tuple[np.ndarray, np.ndarray]


def race(child: Child, rival: Rival, seed: int, training: Digits, test: Digits) -> tuple[int, float, float]:
    """Train from bytes until the test digits are named well enough.

    Returns
    -------
    Epochs; seconds, without those of scoring; the accuracy.
    """
    weights = child.weights(seed)
    start = time.perf_counter()
    rival.prepare(*training)
    rival.set_weights(weights)
    seconds = time.perf_counter() - start
    for epoch in range(MOST_EPOCHS):
        seconds += timed_epoch(rival, len(training[0]), [seed, epoch])
        score = child.accuracy(rival, *test)
        if score >= TARGET:
            break
    return epoch + 1, seconds, score


def reach(child: Child) -> dict[str, Any]:
    """Race to the accuracy seed by seed: weights and orders of its own for each."""
    X, y, X_test, y_test = read_digits(child.folder)
    rivals, compiling = child.compile(X, y)
    setting, tried = child.try_out({s: lambda r=r: timed_start(r, X, y) for s, r in rivals.items()})
    rival = rivals[setting]
    rivals.clear()
    epochs: list[int] = []
    runs: list[float] = []
    while child.goes_on(runs, child.effort.seeds, 0.0, tried[setting]):
        count, seconds, score = race(child, rival, len(runs), (X, y), (X_test, y_test))
        if score < TARGET:
            raise ValueError(f"{100 * score:.2f} % of the digits after {MOST_EPOCHS} epochs")
        epochs.append(count)
        runs.append(seconds)
    return child.report(setting, tried, runs) | {"compile_s": compiling[setting], "epochs": epochs}


def grid(child: Child) -> dict[str, Any]:
    """Choose a learning rate: the fewest epochs, on digits held back from training; then the best score."""
    X, y, *_ = read_digits(child.folder)
    training, held_back = (X[:-HELD_BACK], y[:-HELD_BACK]), (X[-HELD_BACK:], y[-HELD_BACK:])
    seeds = child.effort.grid_seeds
    epochs, scores = {}, {}
    task = child.task
    for rate in RATES:
        child.task = replace(task, lr=rate)
        rival = child.set_up(child.rival.settings(X.dtype)[0])
        races = [race(child, rival, seed, training, held_back) for seed in range(seeds)]
        epochs[rate] = float(np.mean([count for count, _, _ in races]))
        scores[rate] = float(np.mean([score for _, _, score in races]))
    best = min(RATES, key=lambda rate: (epochs[rate], -scores[rate]))
    return {"lr": best, "seeds": seeds, "epochs": epochs, "accuracy_held_back": scores}
