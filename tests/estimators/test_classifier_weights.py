"""Weights of classes, smoothed labels, and what a classifier says."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight
from twins import assert_close, load, make, quietly

from fastmlp import MLPClassifier

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "batch_size": 20, "max_iter": 4}
X, Y = load("wine", 90)
NAMES = np.array(["barbera", "barolo", "grignolino"])


def assert_same(got, expected):
    assert got.loss_curve_ == expected.loss_curve_
    for one, other in zip(got.coefs_ + got.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("given", ["balanced", {0: 2, 1: 0.5, 2: 0}, {0: 3}, {}], ids=str)
def test_weights_of_classes_are_weights_of_rows(given, stopping):
    options = COMMON | {"early_stopping": stopping, "validation_fraction": 0.2}
    y = Y[: -20 + 90]  # classes of unlike size
    samples = X[: len(y)]
    by_class = quietly(MLPClassifier(**options, class_weight=given).fit, samples, y)
    if given == "balanced":
        of_classes = compute_class_weight("balanced", classes=np.arange(3), y=y)
        assert len(set(of_classes)) == 3
    else:
        of_classes = np.array([given.get(label, 1) for label in range(3)])
    by_row = quietly(MLPClassifier(**options).fit, samples, y, of_classes[y])
    assert_same(by_class, by_row)
    assert by_class.validation_scores_ == by_row.validation_scores_


def test_weights_of_classes_multiply_those_of_rows():
    weights = np.random.default_rng(0).uniform(0.5, 2, len(X))
    got = quietly(MLPClassifier(**COMMON, class_weight={0: 2, 1: 1, 2: 3}).fit, X, Y, weights)
    expected = quietly(MLPClassifier(**COMMON).fit, X, Y, np.array([2, 1, 3])[Y] * weights)
    assert_same(got, expected)


def test_classes_go_by_their_labels():
    got = quietly(MLPClassifier(**COMMON, class_weight={"barolo": 5}).fit, X, NAMES[Y])
    expected = quietly(MLPClassifier(**COMMON).fit, X, Y, np.where(Y == 1, 5, 1))
    np.testing.assert_array_equal(got.coefs_[0], expected.coefs_[0])
    two = quietly(MLPClassifier(**COMMON, class_weight={False: 3.0}).fit, X, Y == 1)
    expected = quietly(MLPClassifier(**COMMON).fit, X, Y == 1, np.where(Y == 1, 1, 3.0))
    assert_same(two, expected)


def test_partial_fits_take_weights_but_cannot_balance():
    got, expected = (MLPClassifier(**COMMON) for _ in range(2))
    got.set_params(class_weight={0: 2, 2: 0.1})
    for rows in (slice(0, 50), slice(20, 90)):
        got.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
        expected.partial_fit(X[rows], Y[rows], np.array([2, 1, 0.1])[Y[rows]], [0, 1, 2])
    assert_same(got, expected)
    with pytest.raises(ValueError, match="class_weight='balanced'"):
        got.set_params(class_weight="balanced").partial_fit(X, Y)


@pytest.mark.parametrize("labels, expected", [(Y, 0.1 + 0.7 * np.eye(3)), (Y == 1, [0.15, 0.85, 0.15])])
def test_smoothed_labels_are_what_probabilities_come_to(labels, expected):
    # a logistic regression on one-hot classes can say any probability for each
    options = {"hidden_layer_sizes": (), "alpha": 0.0, "learning_rate_init": 0.05, "batch_size": 90}
    options |= {"tol": 0.0, "n_iter_no_change": np.inf, "max_iter": 3000}
    it = MLPClassifier(**COMMON | options, label_smoothing=0.3)
    said = quietly(it.fit, np.eye(3)[Y], labels).predict_proba(np.eye(3))
    assert_close(said if said.shape[1] == 3 else said[:, 1], expected, 1e-3)


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "multilabel"])
def test_what_is_said_of_samples_is_what_scikit_learn_says(name):
    samples, labels = load(name, 100)
    pair = make(name, **COMMON)
    for it in pair:
        quietly(it.fit, samples, labels)
    ours, theirs = pair
    for method in ("predict", "predict_proba", "predict_log_proba"):
        got, expected = (getattr(it, method)(samples) for it in pair)
        assert got.shape == expected.shape and got.dtype == expected.dtype
        assert_close(got, expected, 1e-9)
    weights = np.linspace(0, 1, len(samples))
    assert ours.score(samples, labels, weights) == theirs.score(samples, labels, weights)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.out_activation_ == theirs.out_activation_
