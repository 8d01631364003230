"""The notebook's loop is the reference in float64, step for step."""

import numpy as np
import pytest

from asv_benchmarks import notebook_loop
from fastmlp import MLP, DataLoader, load_mnist, reference, to_one_hot


def pair(sizes, seed=0):
    """The notebook's classifier and the reference's model, with the same weights."""
    theirs = notebook_loop.DigitsClassifier(*sizes, seed=seed)
    ours = MLP(sizes, seed=seed, dtype=np.float64, ops=reference)
    return theirs, ours


def weights(theirs):
    return [array for layer in (theirs.layers[0], theirs.layers[2]) for array in (layer.w, layer.b)]


def assert_same(theirs, ours):
    for got, expected in zip(weights(theirs), ours.get_weights(), strict=True):
        # both round a handful of times in another order, at most n_in terms a sum
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(expected).max()))


@pytest.fixture(scope="module")
def digits():
    X, y, *_ = load_mnist()
    return X[:700], y[:700]


def test_it_starts_as_the_reference_does():
    assert_same(*pair([784, 128, 10], seed=3))


def test_every_step_is_the_reference_s(digits):
    X, y = digits
    theirs, ours = pair([784, 128, 10])
    one_hot = to_one_hot(y, 10)
    for start in range(0, 640, 64):
        rows = slice(start, start + 64)
        loss = theirs.forward(X[rows], one_hot[rows])
        assert loss == pytest.approx(ours.forward(X[rows], y[rows]), rel=1e-12)
        for model in (theirs, ours):
            model.backward()
            model.step(0.001)
        assert_same(theirs, ours)


def test_an_epoch_visits_the_samples_as_a_loader_does(digits):
    X, y = digits
    theirs, ours = pair([784, 128, 10])
    loader = DataLoader(X, y, 128, shuffle=True, seed=5)
    losses = np.full(len(loader), np.nan)
    ours.run_epoch(loader, loader.next_order(), 0.001, losses)
    loss = notebook_loop.train_epoch(theirs, X, to_one_hot(y, 10), rng=[5, 0])
    assert loss == pytest.approx(losses.sum(), rel=1e-11)
    assert_same(theirs, ours)


def test_batches_come_in_order_and_the_last_is_short():
    X, y = np.arange(10)[:, None], np.arange(10)
    batches = list(notebook_loop.create_batches(X, y, 4))
    assert [b.tolist() for _, b in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    shuffled = np.concatenate([b for _, b in notebook_loop.create_batches(X, y, 4, shuffle=True)])
    assert sorted(shuffled.tolist()) == list(range(10))


def test_the_gradient_of_the_pixels_is_computed_and_not_used():
    layer = notebook_loop.Linear(3, 2, np.random.default_rng(0))
    pixels = np.array([[0, 128, 255]], np.uint8)
    assert layer.forward(pixels).dtype == np.float64
    dy = np.array([[1.0, -2.0]])
    assert np.array_equal(layer.backward(dy), dy @ layer.w.T)
    assert np.array_equal(layer.dw, pixels.T @ dy)
