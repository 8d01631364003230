"""What scikit-learn's optimizer keeps from one call to the next."""

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


@pytest.mark.parametrize("incremental", [False, True])
def test_the_rate_of_adam_is_that_of_its_last_step(incremental):
    both = pair(max_iter=3)
    for estimator in both:
        _ = estimator.partial_fit(X, Y, classes=[0, 1, 2]) if incremental else estimator.fit(X, Y)
    ours, theirs = (estimator._optimizer for estimator in both)
    assert ours.learning_rate == pytest.approx(theirs.learning_rate, rel=1e-12)
    assert ours.learning_rate != ours.learning_rate_init


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"solver": "sgd"}, {"solver": "adam"}),
        ({"solver": "adam"}, {"solver": "sgd"}),
        ({"solver": "sgd", "momentum": 0.5}, {"momentum": 0.9, "nesterovs_momentum": False}),
        ({"solver": "sgd", "learning_rate": "invscaling"}, {"learning_rate": "constant", "power_t": 0.1}),
        ({"solver": "adam"}, {"beta_1": 0.5, "epsilon": 0.1, "learning_rate_init": 0.1}),
    ],
)
def test_partial_fit_goes_on_with_the_optimizer_that_there_is(first, later):
    both = pair(**first)
    for estimator in both:
        for _ in range(3):
            estimator.partial_fit(X, Y, classes=[0, 1, 2])
        estimator.set_params(**later)
        for _ in range(3):
            estimator.partial_fit(X, Y)
    assert_alike(*both)


def test_a_momentum_of_numpys():
    both = pair(solver="sgd", momentum=np.float64(0.8), nesterovs_momentum=np.True_, max_iter=5)
    assert_alike(*(estimator.fit(X, Y) for estimator in both))


def test_a_warm_start_trains_the_best_coefficients_themselves():
    both = pair(hidden_layer_sizes=(7, 5), max_iter=5, early_stopping=True, warm_start=True)
    for n in range(4):
        before = both[0].validation_scores_[-1] if n else 0
        assert_alike(*(estimator.fit(X, Y) for estimator in both))
    assert both[0].validation_scores_[-1] == before  # nothing better came: so the last ones are kept
