"""What the classifier adds to scikit-learn's: weights of classes."""

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_multilabel_classification
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight

from fastmlp import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_wine(return_X_y=True)
X = scale(X)
NAMES = np.array(["red", "rosé", "white"])


def curve(y, sample_weight=None, X=X, **options):
    """Loss after each of a few epochs, or of all of lbfgs."""
    model = MLPClassifier((7,), max_iter=5, random_state=0, **options).fit(X, y, sample_weight)
    return getattr(model, "loss_curve_", [model.loss_])


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (Y, {0: 2.0, 1: 0.5, 2: 1.0}),
        (Y, {1: 3.0}),
        (NAMES[Y], {"red": 2.0, "white": 0.0}),
        (Y == 1, {True: 5.0}),
        (Y, "balanced"),
        (Y == 1, "balanced"),
    ],
    ids=["all", "one", "names", "two classes", "balanced", "two balanced"],
)
def test_the_weight_of_a_class_is_that_of_its_rows(solver, y, class_weight):
    by_hand = compute_sample_weight(class_weight, y)
    got = curve(y, solver=solver, class_weight=class_weight)
    assert got == curve(y, by_hand, solver=solver)
    assert got != curve(y, solver=solver)


def test_balanced_counts_rows_by_their_weights():
    of_rows = np.arange(len(Y)) % 3  # a weight of 2 is a row that stands twice, and 0 one that does not
    repeated = np.repeat(np.arange(len(Y)), of_rows)
    options = {"solver": "lbfgs", "class_weight": "balanced"}
    got, expected = curve(Y, of_rows, **options), curve(Y[repeated], X=X[repeated], **options)
    np.testing.assert_allclose(
        got, expected, rtol=1e-9
    )  # two orders of summation, which line searches amplify


def test_balanced_leaves_out_a_class_without_weight():
    of_rows = (Y != 2).astype(float)
    by_hand = compute_sample_weight("balanced", Y[Y != 2])
    by_hand = np.bincount(np.flatnonzero(of_rows), by_hand, len(Y))
    assert curve(Y, of_rows, class_weight="balanced") == curve(Y, by_hand)


def test_partial_fit_weighs_classes_that_a_batch_lacks():
    few = np.flatnonzero(Y != 1)
    models = [MLPClassifier((7,), random_state=0, class_weight=weight) for weight in ({0: 3.0, 1: 2.0}, None)]
    models[0].partial_fit(X[few], Y[few], classes=[0, 1, 2])
    models[1].partial_fit(X[few], Y[few], np.where(Y[few] == 0, 3.0, 1.0), classes=[0, 1, 2])
    assert models[0].loss_ == models[1].loss_


def test_class_weights_that_mean_nothing_are_refused():
    for weight in (-1.0, np.nan, np.inf, "2"):
        with pytest.raises((TypeError, ValueError), match=r"class_weight\[1\] is '?(-1.0|nan|inf|2)"):
            curve(Y, class_weight={1: weight})
    with pytest.raises(ValueError, match=r"The classes, \[0, 2\], are not in class_weight"):
        curve(Y, class_weight={1: 2.0, 7: 1.0})
    with pytest.raises(ValueError, match="balanced' is of all data"):
        MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    many, labels = make_multilabel_classification(30, random_state=0)
    with pytest.raises(ValueError, match="one label a row"):
        curve(labels, X=many, class_weight="balanced")
