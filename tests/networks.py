"""Networks of every output, and data for them."""

import numpy as np

from fastmlp import MLP, DataLoader, kernels
from fastmlp.config import OUTPUTS

SIZES, N, BATCH = (70, 65, 33, 10), 90, 32


def make(output="softmax", dtype=np.float32, ops=kernels, **options):
    return MLP(SIZES, scale=1 / 255, seed=1, dtype=dtype, output=output, ops=ops, **options)


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 256, (N, SIZES[0])) * (rng.random((N, SIZES[0])) < 0.3)).astype(np.uint8)


def targets(output, n=N, n_out=SIZES[-1], seed=0):
    rng = np.random.default_rng([seed, OUTPUTS.index(output)])
    if output == "softmax":
        return rng.integers(n_out, size=n)
    if output == "identity":
        return rng.standard_normal((n, n_out))
    return rng.random((n, n_out)) if output == "logistic" else rng.poisson(1.0, (n, n_out))


def some_weights(n=N):
    """Weights of rows, of which a whole batch has 0 and the others some."""
    weights = np.random.default_rng(3).random(n) * 3
    weights[BATCH : 2 * BATCH] = 0
    weights[::5] = 0
    return weights


def by_epochs(model, optimizer, y, weights=None, epochs=2, X=None, **options):
    """Train; return the losses."""
    loader, losses = DataLoader(inputs() if X is None else X, y, BATCH, sample_weight=weights), []
    for _ in range(epochs):
        losses.append(np.full(len(loader), np.nan))
        rates = np.tile([optimizer.lr, getattr(optimizer, "momentum", 0.0)], (len(loader), 1))
        model.run_epoch(loader, loader.next_order(), rates, losses[-1], optimizer, **options)
    return np.concatenate(losses)


def by_steps(model, optimizer, y, weights=None, epochs=2, X=None, **options):
    """The same, step by step."""
    loader, losses = DataLoader(inputs() if X is None else X, y, BATCH, sample_weight=weights), []
    for _ in range(epochs):
        for batch in loader:
            losses.append(model.forward(*batch, **options))
            model.backward()
            model.step(optimizer)
    return np.array(losses)


def bits(model):
    state = model.get_state()
    arrays = [*state["weights"], *(a for row in state["state"] for a in row)]
    return state["steps"], state["all_steps"], b"".join(array.tobytes() for array in arrays)
