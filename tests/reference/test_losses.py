"""The reference's loss against scikit-learn's."""

import numpy as np
import pytest
from problems import finite_differences, relative_error
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from fastmlp import reference


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1, 4, 1e4])
def test_loss_agrees_with_scikit_learn(dtype, spread):
    rng = np.random.default_rng(2)
    logits = (spread * rng.standard_normal((50, 10))).astype(dtype)
    labels = rng.integers(10, size=50)
    losses, dlogits = np.empty(50), np.empty_like(logits)
    reference.softmax_cross_entropy(logits, labels, dlogits, losses)
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    one_hot = np.eye(10)[labels]
    assert np.allclose(dlogits * 50, p - one_hot, rtol=0, atol=40 * np.finfo(dtype).eps)
    if spread < 1e4:  # there, scikit-learn clips p
        expected = log_loss(labels, p, labels=range(10))
        assert losses.mean() == pytest.approx(expected, rel=20 * float(np.finfo(dtype).eps))
    assert np.all(np.isfinite(losses))
    row_losses, row_dlogits = np.empty(50), np.empty_like(logits)
    reference.softmax_cross_entropy(logits, one_hot, row_dlogits, row_losses)
    assert np.array_equal(row_losses, losses)
    assert np.allclose(row_dlogits, dlogits, rtol=0, atol=np.finfo(dtype).eps)


def test_loss_of_soft_rows_ignores_classes_of_no_weight():
    logits = np.array([[0.0, -np.inf, 1.0]])
    losses = np.empty(1)
    reference.softmax_cross_entropy(logits, np.array([[0.25, 0.0, 0.75]]), np.empty((1, 3)), losses)
    p = 1 / (1 + np.exp([1.0, -1.0]))
    assert losses[0] == pytest.approx(-0.25 * np.log(p[0]) - 0.75 * np.log(p[1]))


def draw_targets(name, rng, shape):
    if name == "poisson_deviance":
        return rng.integers(0, 4, shape).astype(float)
    return rng.dirichlet(np.ones(shape[1]), shape[0]) if "entropy" in name else rng.standard_normal(shape)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "logistic_cross_entropy", "squared_error", "poisson_deviance"]
)
def test_gradients_are_of_the_weighted_mean(name, weighted):
    rng = np.random.default_rng(6)
    z, y = rng.standard_normal((5, 3)), draw_targets(name, rng, (5, 3))
    weights = np.array([1.0, 0.0, 2.5, 1.0, 0.1]) if weighted else None
    losses, dz, unused = np.empty(5), np.empty_like(z), np.empty_like(z)

    def mean():
        getattr(reference, name)(z, y, unused, losses, weights)
        return np.average(losses, weights=weights)

    getattr(reference, name)(z, y, dz, losses, weights)
    assert relative_error(dz.ravel(), finite_differences(mean, z.reshape(-1))) < 1e-8


def test_losses_are_those_of_scikit_learn():
    rng = np.random.default_rng(7)
    z, weights = rng.standard_normal((30, 1)), rng.random(30)

    def mean(name, y):
        losses = np.empty(30)
        getattr(reference, name)(z, y, np.empty_like(z), losses, weights)
        return np.average(losses, weights=weights)

    label, value, count = rng.integers(2, size=(30, 1)), rng.random((30, 1)), rng.integers(1, 5, (30, 1))
    of_labels = log_loss(label.ravel(), 1 / (1 + np.exp(-z.ravel())), sample_weight=weights)
    assert mean("logistic_cross_entropy", label.astype(float)) == pytest.approx(of_labels)
    assert 2 * mean("squared_error", value) == pytest.approx(
        mean_squared_error(value, z, sample_weight=weights)
    )
    deviance = mean_poisson_deviance(count.ravel(), np.exp(z.ravel()), sample_weight=weights)
    assert 2 * mean("poisson_deviance", count.astype(float)) == pytest.approx(deviance)
