"""Runs that are cut, and what a run that completes them must have in common with one that was not."""

import dataclasses
import json

import numpy as np
import pytest
from runs import make_samples
from safetensors import safe_open

from fastmlp import MLP, SGD, Adam, EarlyStopping, fit, kernels, schedules

X, Y = make_samples()
WRONG = X[50:], 2 - Y[50:]  # training makes it worse, after a while


def slowing(epoch):
    return 0.2 / (1 + epoch)


def halving(steps, total):
    return 0.2 * 0.5 ** (4 * steps / total)


RUNS = {
    "sgd": {"optimizer": SGD(0.1)},
    "momentum": {"optimizer": SGD(0.05, momentum=0.9), "score_train": True},
    "nesterov, one_cycle": {"optimizer": SGD(schedules.one_cycle(0.2, momentum=(0.95, 0.85)), nesterov=True)},
    "adam, ema": {"optimizer": Adam(0.01, weight_decay=0.01), "ema": 0.9},
    "adam, stopping": {
        "optimizer": Adam(0.03),
        "ema": 0.5,
        "early_stopping": EarlyStopping(4),
        "validation_data": WRONG,
    },
    "stopping by score": {"lr": 0.3, "early_stopping": EarlyStopping(3, "score", restore_best=False)},
    "of the epoch": {"lr": slowing},
    "of steps and total": {"lr": halving},
}
EPOCHS = 9


class Cut(Exception):
    pass


def make_model(ops=kernels, seed=0, sizes=(8, 40, 3), **options):
    return MLP(sizes, seed=seed, ops=ops, **options)


def train(model, run, epochs=EPOCHS, **options):
    return fit(
        model, X[:50], Y[:50], **{"epochs": epochs, "seed": 4, "batch_size": 16, **RUNS[run], **options}
    )


def cut(model, run, path, after, **options):
    """Train until so many epochs have ended, and leave a checkpoint."""

    def raise_then(record):
        if record.epoch == after - 1:
            raise Cut

    with pytest.raises(Cut) as caught:
        train(model, run, checkpoint=path, callbacks=[raise_then], **options)
    return caught.value.history


def outcome(model, history):
    """All that two runs can have in common."""
    state = {key: value for key, value in model.get_state().items()}
    records = [dataclasses.replace(record, seconds=0) for record in history]
    return repr_of(state), records, history.seed, history.first_pass


def repr_of(value):
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, list):
        return [repr_of(part) for part in value]
    return {key: repr_of(part) for key, part in value.items()} if isinstance(value, dict) else value


def n_epochs_in(path):
    """Epochs in a checkpoint."""
    with safe_open(path, framework="numpy") as file:
        return len(json.loads(file.metadata()["fastmlp"])["records"])
