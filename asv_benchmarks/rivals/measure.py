"""What a child measures: the losses of the check, epochs of training, calls that name classes."""

import importlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fastmlp
from fastmlp.bench import race
from fastmlp.data import epoch_order

from .base import Rival
from .jobs import Effort, Job
from .timing import timed_calls, timed_epoch, timed_start
from .workloads import Workload, rates_of, read_digits, training_data

WRONG_CLASSES = 1e-3  # share of rows where two classes may be too close for float32 to tell
SHORT, BEYOND_DOUBT = 3, 1.25  # runs on a number of threads that takes so many times as long as another


class Child:
    """A job with its rival's class."""

    def __init__(self, job: Job) -> None:
        self.job, self.workload, self.effort = job, Workload(**job.workload), Effort(**job.effort)
        self.task, self.folder = self.workload.task, Path(job.folder)
        module, name = job.code.split(":")
        self.rival: type[Rival] = getattr(importlib.import_module(module), name)

    def set_up(self, setting: str) -> Rival:
        """Make a rival."""
        return self.rival(self.task, self.job.threads, setting)

    def weights(self, seed: int) -> list[np.ndarray]:
        """Initial weights, those of fastmlp."""
        return fastmlp.MLP(self.task.sizes, seed=seed).get_weights()

    def accuracy(self, rival: Rival, X: np.ndarray, y: np.ndarray, center: np.ndarray | None = None) -> float:
        """Share of rows that a rival's weights name rightly; told by fastmlp for all."""
        model = fastmlp.MLP(self.task.sizes, scale=self.task.scale, center=center)
        model.set_weights(rival.get_weights())
        return fastmlp.accuracy(model, X, y)

    def compile(self, X: np.ndarray, y: np.ndarray) -> tuple[dict[str, Rival], dict[str, float]]:
        """Set up and run every setting; also the seconds by which its first epoch exceeded its second."""
        rivals, compiling = {}, {}
        for setting in self.rival.settings(X.dtype):
            start = time.perf_counter()
            rivals[setting] = rival = self.set_up(setting)
            rival.set_weights(self.weights(self.job.seed))
            first = time.perf_counter() - start + timed_start(rival, X, y, epochs=1)
            compiling[setting] = max(0.0, first - timed_start(rival, X, y, epochs=1))
        return rivals, compiling

    def try_out(self, actions: dict[str, Callable[[], float]]) -> tuple[str, dict[str, float]]:
        """Time every setting in turn; the fastest, and the seconds of each at its best."""
        best, _ = race(actions, seconds=0, least=self.effort.rounds)
        return min(best, key=best.__getitem__), best

    def goes_on(self, runs: Sequence[float], least: int, seconds: float, tried: float) -> bool:
        """Tell whether to time once more; a number of threads that is slow beyond doubt gets a look only."""
        to_beat = math.inf if self.job.to_beat_ms is None else self.job.to_beat_ms / 1e3
        slow = tried > BEYOND_DOUBT * to_beat
        if slow and len(runs) >= SHORT and np.median(runs) > to_beat:
            return False
        return len(runs) < least or sum(runs) < seconds

    def report(self, setting: str, tried: dict[str, float], runs: Sequence[float]) -> dict[str, Any]:
        """Say what was chosen, and all times."""
        return {
            "setting": setting,
            "tried_ms": {name: milliseconds(seconds) for name, seconds in tried.items()},
            "median_ms": milliseconds(np.median(runs)),
            "runs_ms": [milliseconds(run) for run in runs],
        }


def milliseconds(seconds: float) -> float:
    """Convert, and keep six digits."""
    return float(f"{1e3 * seconds:.6g}")


def check(child: Child) -> dict[str, Any]:
    """Give the losses of one short epoch of each setting."""
    X, y = training_data(child.workload, child.folder)
    losses = {}
    for setting in child.rival.settings(X.dtype):
        rival = child.set_up(setting)
        rival.prepare(X, y)
        rival.set_weights(child.weights(child.job.seed))
        order, rates = epoch_order(len(X), [child.job.seed, 0]), rates_of(child.task, 0, len(X))
        losses[setting] = rival.epoch(order, rates).tolist()
    return {"losses": losses}


def train(child: Child) -> dict[str, Any]:
    """Time epochs, each with a fresh order; digits are scored after as many as were asked for."""
    X, y = training_data(child.workload, child.folder)
    effort, seed = child.effort, child.job.seed
    rivals, compiling = child.compile(X, y)
    setting, tried = child.try_out({s: lambda r=r: timed_epoch(r, len(X), [0]) for s, r in rivals.items()})
    rival = rivals[setting]
    rival.set_weights(child.weights(seed))
    runs: list[float] = []
    score = None
    while child.goes_on(runs, effort.epochs, effort.seconds, tried[setting]):
        runs.append(timed_epoch(rival, len(X), [seed, len(runs)]))
        if len(runs) == effort.epochs and child.workload.batches is None:
            score = child.accuracy(rival, *read_digits(child.folder)[2:])
    steps = math.ceil(len(X) / child.workload.batch_size)
    report = child.report(setting, tried, runs)
    return report | {"compile_s": compiling[setting], "accuracy": score, "steps": steps}


def predict(child: Child) -> dict[str, Any]:
    """Time calls that name classes, which are first compared with fastmlp's."""
    X = read_digits(child.folder)[2][: child.workload.rows]
    weights = child.weights(child.job.seed)
    own = fastmlp.MLP(child.task.sizes, scale=child.task.scale)
    own.set_weights(weights)
    calls = {}
    for setting in child.rival.settings(X.dtype, training=False):
        rival = child.set_up(setting)
        rival.set_weights(weights)
        calls[setting] = rival.classifier(X)
        wrong = np.mean(np.asarray(calls[setting]()) != own.predict(X))
        if wrong > WRONG_CLASSES:
            raise ValueError(f"{100 * wrong:.3g} % of the classes are not fastmlp's ({setting})")
    setting, tried = child.try_out({s: lambda call=call: timed_calls(call) for s, call in calls.items()})
    runs: list[float] = []
    end = time.perf_counter() + child.effort.seconds
    while len(runs) < child.effort.epochs or time.perf_counter() < end:
        runs.append(timed_calls(calls[setting]))
    return child.report(setting, tried, runs) | {"compile_s": None}
