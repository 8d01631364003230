"""Inference: all digits scored, and one read."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastmlp.bench import PREDICTIONS, SIZES, Timer, race, threads, timed
from fastmlp.data import load_mnist
from fastmlp.metrics import evaluate
from fastmlp.model import MLP

from .races import Plan
from .report import Goal, Row


def inference_rows(plan: Plan) -> Iterator[Row]:
    """Score all digits, and read one."""
    parts = load_mnist()
    X, y = np.concatenate(parts[::2]), np.concatenate(parts[1::2])
    model, one = MLP(SIZES, seed=0), X[0]
    timers: dict[Any, Timer] = {n: threads(n)(timed(lambda: evaluate(model, X, y))) for n in plan.threads}
    timers["one"] = timed(lambda: model.predict(one), PREDICTIONS)
    best, rounds = race(timers, *plan.effort)
    for n in plan.threads:
        goal = Goal(35, 15) if n == 2 else None
        yield Row(f"evaluate {len(X):,} digits", n, 1e3 * best[n], "ms", rounds, goal)
    yield Row("predict one digit", None, 1e6 * best["one"], "µs", rounds, Goal(25, 10))


GROUPS = {"Inference": inference_rows}
