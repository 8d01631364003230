"""What is measured: networks and their data, which is written once for all processes to read."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import fastmlp
from fastmlp import schedules
from fastmlp.bench import random_loader
from fastmlp.cli import recipe

from .base import Task

TARGET = 0.97  # test accuracy, of the race to it
HELD_BACK = 10_000  # rows of the training set, on which its learning rate is chosen


@dataclass(frozen=True)
class Workload:
    """A network to be trained by epochs, or to be asked; `batches` of random numbers, or MNIST where None."""

    name: str
    title: str
    sizes: tuple[int, ...]
    batch_size: int
    kind: str = "train"  # train, predict, reach or recipe
    lr: float = 1e-3
    scale: float = 1.0
    batches: int | None = None
    rows: int | None = None  # of the test digits, to predict
    cost: float = 10.0  # of a cell, beside the others': to tell how long the rest may take

    @property
    def task(self) -> Task:
        """What a rival is set up with."""
        task = Task(tuple(self.sizes), self.batch_size, self.lr, self.scale)
        if self.kind != "recipe":
            return task
        center = recipe.MODEL["center"] == "mean"
        return replace(task, momentum=recipe.OPTIMIZER.momentum, smoothing=recipe.SMOOTHING, center=center)

    @property
    def shape(self) -> str:
        """Widths and batch size."""
        widths = "-".join(map(str, self.sizes))
        return widths if self.kind == "predict" else f"{widths}, batch {self.batch_size}"


SMALL, DIGITS = (784, 32, 10), (784, 128, 10)
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("notebook", "MNIST, raw pixels", DIGITS, 128),
        Workload("dense", "dense random numbers", DIGITS, 128, batches=40, cost=4),
        Workload("wide-512", "dense random numbers", (784, 512, 512, 10), 128, batches=40),
        Workload("wide-1024", "dense random numbers", (784, 1024, 1024, 10), 256, batches=40, cost=25),
        Workload("small", "MNIST, raw pixels", SMALL, 32, lr=1e-4, cost=12),
        Workload("predict-1", "class of one digit", DIGITS, 1, "predict", rows=1, cost=4),
        Workload("predict-10000", "classes of 10,000 digits", DIGITS, 1, "predict", rows=10_000, cost=4),
        Workload("accuracy", "MNIST to 97 % of test digits", DIGITS, 128, "reach", scale=1 / 255, cost=20),
        Workload("recipe", "98 % of MNIST", DIGITS, recipe.BATCH_SIZE, "recipe", scale=1 / 255, cost=20),
    )
}
# before anything is timed: 20 full batches and a short one, of pixels / 255
CHECK = Workload("check", "the check", DIGITS, 128, lr=0.1, scale=1 / 255, rows=20 * 128 + 96)
RECIPE_CHECK = replace(WORKLOADS["recipe"], name="check-recipe", rows=CHECK.rows)
RECIPE_STEPS = recipe.EPOCHS * math.ceil(60_000 / recipe.BATCH_SIZE)


def rates_of(task: Task, epoch: int, n_rows: int) -> np.ndarray | None:
    """Learning rates of an epoch of the recipe, float64 (n_batches,); None where a task has one for all."""
    if not task.momentum:
        return None
    n = math.ceil(n_rows / task.batch_size)
    return schedules.rates(recipe.OPTIMIZER, epoch * n, n, RECIPE_STEPS)[:, 0]


def write_digits(folder: Path) -> None:
    """Write MNIST where `read` finds it."""
    for name, array in zip(("X", "y", "X_test", "y_test"), fastmlp.load_mnist(), strict=True):
        np.save(folder / f"{name}.npy", array)


def read_digits(folder: Path) -> list[np.ndarray]:
    """X uint8 (60000, 784), y uint8 (60000,), and the same of the 10,000 test digits."""
    return [np.load(folder / f"{name}.npy") for name in ("X", "y", "X_test", "y_test")]


def training_data(workload: Workload, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """X, uint8 or float32, and labels."""
    if workload.batches is not None:
        rows = workload.batches * workload.batch_size
        loader = random_loader(workload.sizes, workload.batch_size, rows)
        return loader.X, loader.y.astype(np.uint8)
    X, y, *_ = read_digits(folder)
    rows = slice(workload.rows)
    return X[rows], y[rows]
