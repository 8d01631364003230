"""Parameters as searches give them."""

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

from fastmlp import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = scale(load_wine().data), load_wine().target


def pair(**params):
    return MLPClassifier(random_state=3, **params), neural_network.MLPClassifier(random_state=3, **params)


def assert_alike(ours, theirs):
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert np.abs(a - b).max() <= 1e-9 * np.abs(b).max()


def test_a_momentum_of_numpys():
    both = pair(solver="sgd", momentum=np.float64(0.8), nesterovs_momentum=np.True_, max_iter=5)
    assert_alike(*(estimator.fit(X, Y) for estimator in both))
