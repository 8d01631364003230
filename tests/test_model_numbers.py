"""Models where numbers are at their edges: what is told, and that nothing else changes."""

import math

import numpy as np
import pytest
from bounds import gamma
from networks import bits

from fastmlp import MLP, SGD, Adam, DataLoader
from fastmlp.config import OUTPUTS

OPTIMIZERS = pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.01, momentum=0.9), Adam(0.01)], ids=repr)


def data(n=64, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 20)).astype(dtype), rng.integers(3, size=n)


def run(model, X, y, batch, optimizer=None, weights=None):
    loader = DataLoader(X, y, batch, sample_weight=weights)
    losses = np.full(len(loader), np.nan)
    model.run_epoch(loader, np.arange(len(X)), 0.01, losses, optimizer or SGD())
    return losses


def test_the_loss_of_60_000_rows_is_summed_in_float64(ops):
    """In float32 it would be off in the fifth digit, as sums of so many numbers are."""
    X, y = data(60_000)
    model = MLP([20, 8, 3], seed=0, ops=ops)
    z = model.logits(X)
    each = [model.loss(X[row : row + 1], y[row : row + 1]) for row in range(0, 60_000, 60)]
    losses = np.empty(len(z))
    ops.softmax_cross_entropy(z, y, np.empty_like(z), losses)
    assert losses[::60].tolist() == each
    exact = math.fsum(losses) / 60_000
    assert abs(model.loss(X, y) - exact) <= gamma(60_001, np.float64) * exact
    assert abs(run(model, X, y, 60_000)[0] - exact) <= gamma(60_001, np.float64) * exact


@OPTIMIZERS
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
def test_a_weight_gone_to_infinity_is_told_and_takes_no_step(place, bad, optimizer):
    X, y = data()
    model = MLP([20, 8, 3], activation="tanh", seed=0)
    run(model, X, y, 16, optimizer)
    model._arena.pieces(model._arena.block)[place // 2][0][0][3, 1] = bad  # set_weights would refuse it
    before = bits(model)
    # behind tanh an infinite weight is a unit of 1 or -1
    if place or np.isnan(bad):
        with pytest.raises(FloatingPointError, match="the loss is (nan|inf)"):
            run(model, X, y, 16, optimizer)
        assert bits(model) == before
        with pytest.raises(FloatingPointError, match="the loss is (nan|inf)"):
            model.forward(X, y)
        with pytest.raises(FloatingPointError, match="the logits of row 0 of X are not finite"):
            model.predict_proba(X)
    else:
        with pytest.raises(FloatingPointError, match="weights are not finite"):
            run(model, X, y, 16, optimizer)
        assert np.isfinite(model.predict_proba(X)).all()
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.set_weights(model.get_weights())


@pytest.mark.parametrize("output", OUTPUTS)
@OPTIMIZERS
def test_a_batch_whose_weights_are_all_0_has_a_loss_of_0_and_is_no_step(output, optimizer):
    X, y = data(48)
    labels = y if output == "softmax" else np.eye(3)[y]
    weights = np.ones(48)
    weights[16:32] = 0
    models = [MLP([20, 8, 3], output=output, seed=0, dropout=0.5) for _ in range(2)]
    losses = run(models[0], X, labels, 16, optimizer, weights)
    assert losses[1] == 0 and losses[0] > 0 < losses[2]
    left = np.r_[0:16, 32:48]
    assert run(models[1], X[left], labels[left], 16, optimizer).tolist() == losses[[0, 2]].tolist()
    assert bits(models[0]) == bits(models[1])
    assert models[0].forward(X, labels, np.zeros(48)) == 0
    models[0].backward()
    models[0].step(optimizer)
    assert bits(models[0]) == bits(models[1])
    with pytest.raises(ValueError, match="sums to 0"):
        DataLoader(X, labels, sample_weight=np.zeros(48))


@OPTIMIZERS
def test_batches_of_one_are_steps_along_their_own_row(optimizer, threads):
    X, y = data(7)
    found = set()
    for n in (1, 3):
        threads(n)
        model, other = MLP([20, 8, 3], seed=0), MLP([20, 8, 3], seed=0)
        losses = run(model, X, y, 1, optimizer)
        for row in range(7):
            assert run(other, X[row : row + 1], y[row : row + 1], 128, optimizer)[0] == losses[row]
        assert bits(model) == bits(other)
        found.add(str(bits(model)))
    assert len(found) == 1


def test_an_infinite_loss_of_a_row_of_weight_0_is_in_no_mean(ops):
    X, y = data(8, dtype=np.float64)
    X[3] *= 1e6  # a mean of exp(z) that is infinite
    weights, others = np.arange(8) % 4 != 3, np.arange(8) != 3
    model = MLP([20, 3], output="exp", seed=0, dtype=np.float64, ops=ops)
    model.set_weights([np.abs(w) * np.sign(X[3][:, None]) if w.ndim == 2 else w for w in model.get_weights()])
    Y, weights = np.eye(3)[y], weights.astype(float)
    assert model.loss(X[3:4], Y[3:4]) == np.inf
    expected = model.loss(X[others], Y[others], weights[others])
    assert expected == model.loss(X, Y, weights) == model.forward(X, Y, weights)
    assert run(model, X, Y, 8, weights=weights)[0] == pytest.approx(expected, rel=1e-14)
