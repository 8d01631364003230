"""Small models, data for them, and the ways in which they are trained."""

import numpy as np

from fastmlp import MLP, DataLoader, fit, train_epoch

SIZES = [[1, 1], [5, 3], [1, 1, 1, 1], [6, 1, 2], [7, 17, 3], [65, 33, 16, 5], [3, 4, 5, 6, 7, 2]]


def make_data(sizes, n=50, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, sizes[0])).astype(dtype)
    return X, rng.integers(0, sizes[-1], n)


def make_model(ops, sizes=(6, 5, 3), **options):
    return MLP(sizes, **{"seed": 1, "ops": ops, **options})


def train_by_steps(model, X, y, batch_size, lr):
    losses = []
    for start in range(0, len(X), batch_size):
        losses.append(model.forward(X[start : start + batch_size], y[start : start + batch_size]))
        model.backward()
        model.step(lr)
    return losses


def bits(model):
    return b"".join(w.tobytes() for w in model.get_weights())


X_GOOD, Y_GOOD = make_data([6, 3], 4)
ROWS = np.eye(3)[Y_GOOD]

TRAINING = {
    "forward": lambda model, X, y: model.forward(X, y),
    "train_epoch": lambda model, X, y: train_epoch(model, X, y),
    "fit": lambda model, X, y: fit(model, X, y, epochs=1),
    "loader": lambda model, X, y: fit(model, DataLoader(X, y), epochs=1),
}
