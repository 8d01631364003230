"""Data of few values, which is trained on as bytes."""

import numpy as np
import pytest

from fastmlp import MLP, SGD, DataLoader, kernels, reference

CENTERED = {"center": np.arange(70) / 7, "scale": 1 / 255}
OPTIONS = {"plain": {}, "centered": CENTERED, "dropped": {"dropout": 0.2}, "scaled": {"scale": 0.3}}
FLOATS = [np.float32, np.float64]


@pytest.mark.parametrize("ops", [kernels, reference])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("x_dtype", FLOATS)
def test_the_bits_are_those_of_training_on_floats(options, x_dtype, dtype, ops):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (90, 70)) * (rng.random((90, 70)) < 0.3), rng.integers(10, size=90)
    X = (X / 255).astype(x_dtype)
    signed = X.copy()
    signed.flat[np.flatnonzero(X == 0)[0]] = -0.0  # which no byte stands for
    loaders = [DataLoader(x, y, 32) for x in (X, signed)]
    trained = []
    for loader in loaders:
        model = MLP((70, 65, 33, 10), seed=1, dtype=dtype, ops=ops, **options)
        for lr in (0.05, 0.01):
            model.run_epoch(loader, loader.next_order(), lr, np.empty(3), SGD(momentum=0.9, nesterov=True))
        state = model.get_state()
        assert bool(loader.coded(ops, 0)) == (loader is loaders[0])
        trained.append([*state["weights"], *(a for row in state["state"] for a in row)])
    assert all(np.array_equal(a, b) for a, b in zip(*trained, strict=True))
    assert all(np.isfinite(a).all() and a.any() for a in trained[0])


def test_codes_are_made_where_more_than_one_epoch_is_trained():
    X, y = np.eye(8), np.arange(8)
    loader = DataLoader(X, y)
    assert [len(loader.coded(kernels, 1)) for _ in range(3)] == [0, 2, 2]
    assert len(DataLoader(X, y).coded(kernels, 2)) == 2  # two in one call
    known = DataLoader(X, y)
    known.prepare(kernels, n_epochs=2)
    assert len(known.coded(kernels, 0)) == 2 and known.masks.tolist() == loader.masks.tolist()
    codes, values = known.coded(kernels, 1)
    assert np.array_equal(values[codes], X) and not codes.flags.writeable
    for other in DataLoader(X.astype(np.uint8), y), DataLoader(X + 1, y):  # bytes, and no zeros
        assert other.coded(kernels, 2) == ()
