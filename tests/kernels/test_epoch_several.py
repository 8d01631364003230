"""Several epochs in one call, and the sums of squares that are told with losses."""

import numpy as np
import pytest
from bounds import gamma

from fastmlp import MLP, SGD, Adam, DataLoader, kernels, reference

OPTIMIZERS = {"plain": SGD(), "nesterov": SGD(momentum=0.9, nesterov=True, l2=0.1), "adam": Adam(l2=0.1)}


def make_loader(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((53, 70))
    if kind == "sparse":
        X = (rng.integers(0, 256, X.shape) * (rng.random(X.shape) < 0.3)).astype(np.uint8)
    return DataLoader(X, rng.integers(5, size=len(X)), batch_size=16)


def run(
    orders, ops=kernels, optimizer=OPTIMIZERS["adam"], kind="dense", dtype=np.float64, sizes=(70, 129, 5)
):
    """Train on the rows of `orders`; give weights, losses and sums of squares of each call."""
    model, loader = MLP(sizes, scale=1 / 64, seed=0, dtype=dtype, ops=ops), make_loader(kind)
    told = []
    for order in orders:
        losses, squares = np.full((2, order.size // 53 * 4), np.nan)
        done = model.run_epoch(loader, order, 0.01, losses, optimizer, squares=squares)
        assert done == len(losses)
        told.append((losses, squares))
    return model.get_weights(), *np.concatenate(told, axis=1)


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(1)
    return np.array([rng.permutation(53) for _ in range(4)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("width", [65, 129, 529])  # of one panel, of two or four, and of a last one missing
def test_one_call_has_the_bits_of_many(orders, width, optimizer, kind, dtype, threads):
    options = {"optimizer": OPTIMIZERS[optimizer], "kind": kind, "dtype": dtype, "sizes": (70, width, 5)}
    expected = run(orders, **options)
    for n_threads in (1, 2, 3, 4, 8):
        threads(n_threads)
        for given in ([orders], [orders[:3], orders[3:]]):
            weights, losses, squares = run(given, **options)
            for got, wanted in zip([*weights, losses, squares], [*expected[0], *expected[1:]], strict=True):
                assert np.array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes", [(70, 5), (70, 129, 5), (70, 256, 5), (70, 3, 300, 5), (70, 529, 97)], ids=str
)
def test_squares_are_of_the_weights_before_each_step(orders, sizes, dtype):
    model, loader = MLP(sizes, scale=1 / 64, seed=0, dtype=dtype), make_loader("dense")
    losses, squares, expected = *np.empty((2, 1)), []
    for start in range(0, 53, 16):
        before = sum(np.square(w, dtype=np.float64).sum() for w in model.get_weights()[::2])
        model.run_epoch(loader, orders[0][start : start + 16], 0.01, losses, SGD(l2=0.1), squares=squares)
        expected.append(before)
        # in float64: 8 rows, 16 times eight columns of a panel, 8 lanes, and then the sums of all such shares
        shares = sum(-(-len(w) // 8) * -(-w.shape[1] // 24) for w in model.get_weights()[::2])
        assert abs(squares[0] - before) <= gamma(8 + 16 + 3 + shares, np.float64) * before
    assert len(set(expected)) == 4


def test_the_reference_takes_several_epochs_too(orders):
    got, expected = run([orders]), run([orders], reference)
    for a, b in zip([*got[0], *got[1:]], [*expected[0], *expected[1:]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_batch_that_fails_is_named_whatever_the_epoch(orders):
    model, loader = MLP([70, 129, 5], seed=0), make_loader("dense")
    losses = np.empty(16)
    rates = np.tile([0.01, 0.0], (16, 1))
    rates[5, 0] = 1e30
    with pytest.raises(FloatingPointError, match="batch 6"):
        model.run_epoch(loader, orders, rates, losses, SGD())


def test_weights_of_rows_count_in_every_epoch(orders):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, 53).astype(float)
    weights[orders[1, :16]] = 0  # a batch of the second epoch that takes no step
    loader = DataLoader(rng.standard_normal((53, 70)), rng.integers(5, size=53), 16, sample_weight=weights)
    models = [MLP([70, 9, 5], seed=0, dropout=0.5) for _ in range(2)]
    losses = np.empty((2, 16))
    models[0].run_epoch(loader, orders, 0.01, losses[0], Adam())
    for epoch, order in enumerate(orders):
        models[1].run_epoch(loader, order, 0.01, losses[1, 4 * epoch :][:4], Adam())
    assert losses[0, 4] == 0
    assert np.array_equal(*losses)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        assert np.array_equal(a, b)
    assert models[0].get_state()["steps"] == 15 == models[1].get_state()["steps"]


@pytest.mark.parametrize("ops", [kernels, reference])
@pytest.mark.parametrize(("output", "n_out"), [("softmax", 5), ("logistic", 1)])
def test_a_limit_changes_what_is_told_and_nothing_else(orders, ops, output, n_out):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((53, 70)), rng.integers(max(2, n_out), size=53)
    models = [MLP([70, 9, n_out], output=output, seed=0, ops=ops) for _ in range(2)]
    told = np.empty((2, 4))
    for model, losses, limit in zip(models, told, (0.0, 0.5), strict=True):
        loader = DataLoader(X, y, batch_size=16)
        model.run_epoch(loader, orders[0], 0.01, losses, SGD(), loss_limit=limit)
    assert np.all(told[1] < told[0]) and np.all(told[1] <= 0.5)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        assert np.array_equal(a, b)
