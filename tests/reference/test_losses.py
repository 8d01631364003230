"""The reference's loss against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

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
