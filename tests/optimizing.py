"""What an epoch is told of an optimizer."""

import numpy as np

from fastmlp.kernels.optimizers import KINDS, SETTINGS


def numbers(lr, n_batches, n_layers, kind="sgd", momentum=0.9, rates=None, factors=None, **fields):
    """The arguments settings, rates and factors of `train_epoch`."""
    settings = np.zeros(1, SETTINGS)
    fields = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, **fields}
    for name, value in {"kind": KINDS.index(kind), **fields}.items():
        settings[name] = value
    rates = np.tile([float(lr), momentum], (n_batches, 1)) if rates is None else rates
    return settings, rates, np.ones((n_layers, 2)) if factors is None else factors


def nothing_kept(dtype):
    """State of plain gradient descent."""
    return np.zeros((0, 0), dtype)


NO_WEIGHTS = np.empty(0)
