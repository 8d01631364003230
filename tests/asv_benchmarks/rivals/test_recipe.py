"""The recipe as rivals train by it: the same steps, timed from other data's warm-up on."""

from dataclasses import replace

import numpy as np
import pytest
from rival_rows import a_job

from asv_benchmarks.rivals import measure, recipe, workloads
from asv_benchmarks.rivals.registry import ENTRIES
from asv_benchmarks.rivals.rival_fastmlp import Fastmlp
from asv_benchmarks.rivals.workloads import CHECK, WORKLOADS
from fastmlp import MLP, DataLoader, reference
from fastmlp.cli import recipe as own
from fastmlp.cli.recipe import cook
from fastmlp.data import epoch_order

SMALL = replace(WORKLOADS["recipe"], sizes=(784, 8, 10))
RATES = np.array(
    [0.1, 0.3, 0.2, 0.05, 0.0]
)  # as they change, a velocity with the rate inside shows, and 0 ends it


def read(digits):
    return [np.load(digits / f"{part}.npy") for part in ("X", "y", "X_test", "y_test")]


def test_the_workload_is_the_recipe():
    workload, steps = WORKLOADS["recipe"], workloads.RECIPE_STEPS
    task, optimizer = workload.task, own.OPTIMIZER
    assert (task.batch_size, task.smoothing, task.momentum) == (
        own.BATCH_SIZE,
        own.SMOOTHING,
        optimizer.momentum,
    )
    assert optimizer.nesterov and own.MODEL["center"] == "mean" and task.center
    assert (task.scale, optimizer.l2, optimizer.weight_decay) == (own.MODEL["scale"], 0, 0)
    rates = np.concatenate([workloads.rates_of(task, epoch, 60_000) for epoch in range(own.EPOCHS)])
    assert len(rates) == steps == 1407 and rates[-1] == 0 and 0.79 < rates.max() <= 0.8
    assert np.array_equal(rates, optimizer.lr(np.arange(steps), steps))
    assert workloads.rates_of(CHECK.task, 0, 60_000) is None


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if not entry.lacks])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of parts of PyTorch by others of its
def test_a_rival_takes_the_recipes_steps(name, digits):
    if ENTRIES[name].missing():
        pytest.skip(f"{name} is not installed")
    X, y, *_ = read(digits)
    other, X, y = X[300:600], X[:300], y[:300]
    task = replace(WORKLOADS["recipe"].task, sizes=(784, 16, 10), batch_size=64)
    weights, order = MLP(task.sizes, seed=1).get_weights(), epoch_order(300, [1, 0])
    truth = MLP(task.sizes, scale=task.scale, center=X.mean(axis=0), dtype=np.float64, ops=reference)
    truth.set_weights(weights)
    expected, pairs = np.empty(5), np.column_stack([RATES, np.full(5, 0.9)])
    options = {"optimizer": own.OPTIMIZER, "label_smoothing": own.SMOOTHING}
    truth.run_epoch(DataLoader(X, y, 64), order, pairs, expected, **options)
    child = measure.Child(a_job(name, digits))
    for setting in child.rival.settings(X.dtype):
        rival = child.rival(task, 1, setting)
        for inputs in (other, X):  # whose mean is another, and the velocities of which are forgotten
            rival.prepare(inputs, y)
            rival.set_weights(weights)
            losses = rival.epoch(order, RATES)
        # float32 rounds each of five steps a few hundred times at most, by 6e-8
        np.testing.assert_allclose(losses, expected, rtol=1e-4)
        for got, exact in zip(rival.get_weights(), truth.get_weights(), strict=True):
            np.testing.assert_allclose(got, exact, rtol=0, atol=1e-4 * np.abs(exact).max())


def test_it_is_warm_before_the_digits_come_and_scores_each_seed(digits, monkeypatch):
    X, y, X_test, y_test = read(digits)
    seen, prepare = [], Fastmlp.prepare

    def watched(self, inputs, labels):
        seen.append(np.array_equal(inputs, X) and np.array_equal(labels, y))
        prepare(self, inputs, labels)

    monkeypatch.setattr(Fastmlp, "prepare", watched)
    child = measure.Child(a_job("fastmlp", digits, WORKLOADS["recipe"], "recipe"))
    found = recipe.recipe(child)
    assert seen == [False, False, False, True]
    assert len(found["scores"]) == len(found["runs_ms"]) == 1 and found["median_ms"] > 0
    # as the command has it, which knows these few digits as a whole run, and rates as of one
    monkeypatch.setattr("asv_benchmarks.rivals.workloads.RECIPE_STEPS", 3 * 21)
    again = recipe.recipe(child)
    assert again["scores"] == [cook(0, X, y, X_test, y_test).right]
