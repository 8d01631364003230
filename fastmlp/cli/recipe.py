"""`fastmlp train --recipe 98`: 98 % of MNIST's test digits, by the fastest way that was found."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastmlp import schedules
from fastmlp.data import DataLoader
from fastmlp.metrics import accuracy
from fastmlp.model import DigitsClassifier
from fastmlp.optimizers import SGD
from fastmlp.training import History, fit

from .console import say

# chosen by 10,000 of the training digits, held back; the test digits were never asked
EPOCHS, BATCH_SIZE, SMOOTHING = 3, 128, 0.1
OPTIMIZER = SGD(
    schedules.one_cycle(0.8, warmup=0.1, start=0.02, end=0.0, shape="linear"), momentum=0.9, nesterov=True
)
MODEL: dict[str, Any] = {"scale": 1 / 255, "center": "mean", "class_names": tuple("0123456789")}


class Outcome(NamedTuple):
    """What one seed came to."""

    model: DigitsClassifier
    history: History
    seconds: float
    right: float  # share of the test digits


def cook(seed: int, X: NDArray[Any], y: NDArray[Any], *test: NDArray[Any]) -> Outcome:
    """Prepare and train, timed together, then count the test digits that are right."""
    start = time.perf_counter()
    model = DigitsClassifier(seed=seed, **MODEL)
    loader = DataLoader(X, y, BATCH_SIZE, shuffle=True, seed=seed)
    history = fit(
        model, loader, epochs=EPOCHS, optimizer=OPTIMIZER, label_smoothing=SMOOTHING, progress=False
    )
    seconds = time.perf_counter() - start
    return Outcome(model, history, seconds, accuracy(model, *test))


def cook_all(args: argparse.Namespace, *data: NDArray[Any]) -> Outcome:
    """Try the seeds, telling of each, and then their medians; give the first one's outcome."""
    outcomes = []
    for seed in range(args.seed, args.seed + args.seeds):
        outcomes.append(cook(seed, *data))
        if args.seeds > 1:
            say(f"[Seed {seed}] {outcomes[-1].seconds:.3f} s, {100 * outcomes[-1].right:.2f} %")
    seconds, right = (statistics.median(getattr(o, name) for o in outcomes) for name in ("seconds", "right"))
    say(
        f"98 % recipe: {EPOCHS} epochs, {seconds:.3f} s of preparing and training, "
        f"{100 * right:.2f} % of the test digits right"
        + (f" (medians of {args.seeds} seeds)" if args.seeds > 1 else "")
    )
    return outcomes[0]
