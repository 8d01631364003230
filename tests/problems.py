"""Problems for the reference: filled arenas, epochs of them, and finite differences."""

import numpy as np
from optimizing import NO_WEIGHTS, nothing_kept, numbers

from fastmlp import reference

ARCHITECTURES = [
    (1, 1), (1, 2), (2, 1), (3, 2), (5, 7), (4, 10),
    (1, 1, 1), (1, 3, 2), (3, 1, 2), (2, 3, 1), (4, 5, 3), (7, 13, 11), (8, 8, 8), (16, 9, 10),
    (2, 3, 4, 5), (5, 4, 3, 2), (3, 1, 1, 3), (6, 6, 6, 6),
    (4, 7, 5, 3, 2), (2, 2, 2, 2, 2, 2), (5, 8, 3, 8, 3, 4), (3, 4, 5, 6, 7, 8, 9),
]  # fmt: skip


def make_problem(sizes, batch, dtype=np.float64, seed=0, rows=False):
    """Return a filled arena with its table, inputs and labels (rows of probabilities if asked for)."""
    rng = np.random.default_rng(seed)
    table, size = reference.plan(sizes, batch, dtype)
    arena = np.full(size, np.nan, dtype)
    n_parameters = table[0]["x"]
    arena[:n_parameters] = rng.standard_normal(n_parameters) * 0.7
    x = rng.standard_normal((batch, sizes[0])).astype(dtype)
    labels = rng.dirichlet(np.ones(sizes[-1]), batch) if rows else rng.integers(sizes[-1], size=batch)
    return arena, table, x, labels


def run(arena, table, x, labels, order, batch_size, lr=0.1, scale=1.0, stop=0):
    """Call `train_epoch`; return the batches completed and the losses."""
    losses = np.full(-(-len(order) // batch_size), np.nan)
    scalar = arena.dtype.type
    masks = np.empty((0, 0), np.uint64)
    stop = np.array([stop])
    of_step, kept = numbers(lr, len(losses), len(table)), nothing_kept(arena.dtype)
    data, rest = (
        (x, labels, NO_WEIGHTS, order, batch_size),
        (scalar(scale), np.empty(0, arena.dtype), masks, stop, losses),
    )
    done = reference.train_epoch(arena, table, kept, *data, *of_step, *rest)
    return done, losses


def loss_of(arena, table, x, labels):
    logits, losses = np.empty((len(x), table[-1]["n_out"])), np.empty(len(x))
    reference.infer(arena, table, x, 1.0, np.empty(0), logits)
    reference.softmax_cross_entropy(logits, labels, np.empty_like(logits), losses)
    return losses.mean()


def finite_differences(f, values, eps=1e-6):
    """Central differences of f() as each element of `values` is moved."""
    gradient = np.empty(values.size)
    for i in range(values.size):
        kept = values[i]
        values[i] = kept + eps
        above = f()
        values[i] = kept - eps
        gradient[i] = (above - f()) / (2 * eps)
        values[i] = kept
    return gradient


def relative_error(got, expected):
    return np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-3)
