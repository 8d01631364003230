"""The loss of all data and its gradient, and fits by SciPy's L-BFGS-B."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from twins import assert_close, load, make, outcome, quietly

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.config import ACTIVATIONS
from fastmlp.estimators.lbfgs import loss_and_gradient

COMMON = {"solver": "lbfgs", "hidden_layer_sizes": (5, 4), "random_state": 1, "max_iter": 12}
ONLY_EPOCHS = {"dropout": 0.5, "weight_decay": 0.1, "ema": 0.9, "schedule": lambda epoch: 0.1}


def problem(name, **parameters):
    """A fitted estimator, its data as scikit-learn hands them on, and a vector of parameters."""
    X, y = load(name, 30)
    it = quietly(make(name, **COMMON)[0].set_params(max_iter=1, **parameters).fit, X, y)
    y = it._label_binarizer.transform(y).astype(bool) if hasattr(it, "classes_") else y.reshape(len(X), -1)
    packed = np.concatenate([array.ravel() for array in it.coefs_ + it.intercepts_])
    return it, X, y, packed + 0.1 * np.random.default_rng(0).normal(size=packed.size)


@pytest.mark.parametrize("ops", ["kernels", "reference"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["breast_cancer", "wine", "multilabel", "diabetes", "linnerud"])
def test_the_gradient_is_that_of_the_loss(name, weighted, ops):
    parameters = {"alpha": 0.3, "activation": ["tanh", "silu"], "ops": ops}
    if name not in ("diabetes", "linnerud"):
        parameters["label_smoothing"] = 0.1
    it, X, y, packed = problem(name, **parameters)
    weights = np.random.default_rng(1).uniform(0, 2, len(X)) if weighted else None

    def both(vector):
        return loss_and_gradient(it, vector, X, y, weights, [None] * 4, [None] * 3)

    loss, gradient = both(packed)
    # scikit-learn reports half the mean square over outputs, and descends that of their sum
    share = it.n_outputs_ if it.out_activation_ == "identity" else 1
    penalty = (
        0.15 * np.sum(packed[: -(9 + it.n_outputs_)] ** 2) / (len(X) if weights is None else weights.sum())
    )
    numeric = approx_fprime(packed, lambda v: both(v)[0], 1e-6)
    numeric += (share - 1) * approx_fprime(packed, lambda v: both(v)[0] - penalty_of(v, it, X, weights), 1e-6)
    assert loss > penalty > 0
    np.testing.assert_allclose(gradient, numeric, atol=2e-5)


def penalty_of(packed, it, X, weights):
    total = len(X) if weights is None else weights.sum()
    return 0.5 * it.alpha * np.sum(packed[: -(9 + it.n_outputs_)] ** 2) / total


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_its_gradient(activation):
    it, X, y, packed = problem("wine", activation=activation, alpha=0.0)
    workspaces = [None] * 4, [None] * 3
    gradient = loss_and_gradient(it, packed, X, y, None, *workspaces)[1]
    numeric = approx_fprime(packed, lambda v: loss_and_gradient(it, v, X, y, None, *workspaces)[0], 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)


@pytest.mark.parametrize("name", ["wine", "diabetes"])
@pytest.mark.parametrize("weighted", [False, True])
def test_float32_data_is_computed_as_scikit_learn_does(name, weighted):
    X, y = load(name, 60)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    ours, theirs = make(name, **COMMON | {"max_iter": 3})
    for it in (ours, theirs):
        quietly(it.fit, X.astype(np.float32), y, weights)
    assert [a.dtype for a in ours.coefs_] == [a.dtype for a in theirs.coefs_]
    assert_close(ours.loss_, theirs.loss_, 1e-4)
    assert_close(ours.coefs_, theirs.coefs_, 1e-3)


def test_dtype_is_that_of_the_coefficients():
    X, y = load("wine", 60)
    it = quietly(MLPClassifier(**COMMON, dtype="float32").fit, X, y)
    assert {a.dtype for a in it.coefs_ + it.intercepts_} == {np.dtype(np.float32)}
    wide = quietly(MLPClassifier(**COMMON).fit, X, y)
    assert_close(it.loss_, wide.loss_, 0.05)  # after twelve line searches


def test_coefficients_are_arrays_of_their_own():
    X, y = load("wine", 60)
    it = quietly(MLPClassifier(**COMMON).fit, X, y)
    before = it.intercepts_[0].copy()
    for array in it.coefs_:
        array[...] = 0
    np.testing.assert_array_equal(it.intercepts_[0], before)
    assert all(array.flags.c_contiguous and array.base is None for array in it.coefs_ + it.intercepts_)


@pytest.mark.parametrize("name, value", ONLY_EPOCHS.items())
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_what_is_of_epochs_alone_is_refused(kind, name, value):
    X, y = load("wine", 60)
    with pytest.raises(ValueError, match=f"^{name}=.* is of solver='sgd' and 'adam', not of lbfgs"):
        kind(**COMMON, **{name: value}).fit(X, y)
    with pytest.raises(ValueError, match="^eval_set is of solver='sgd' and 'adam', not of lbfgs"):
        kind(**COMMON).fit(X, y, eval_set=(X, y))
    quietly(kind(**COMMON, dropout=(0.0, 0.0), weight_decay=0).fit, X, y)  # which say nothing


def test_lists_of_activations_are_looked_at():
    X, y = load("wine", 60)
    for names, words in (
        (["relu"], "activation has 1 names, expected 2"),
        ([], "activation has 0 names, expected 2"),
        (["relu", "foo"], r"activation\[1\] is 'foo', expected one of"),
    ):
        with pytest.raises(ValueError, match=words):
            MLPClassifier(**COMMON, activation=names).fit(X, y)
    got, expected = (
        quietly(MLPClassifier(**COMMON, activation=names).fit, X, y) for names in (["tanh", "tanh"], "tanh")
    )
    np.testing.assert_array_equal(got.coefs_[0], expected.coefs_[0])


def test_weights_of_classes_and_smoothed_labels_count():
    X, y = load("wine", 60)
    by_class = quietly(MLPClassifier(**COMMON, class_weight={0: 1, 1: 2, 2: 0.5}).fit, X, y)
    by_row = quietly(MLPClassifier(**COMMON).fit, X, y, np.array([1, 2, 0.5])[y])
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
    smooth = quietly(MLPClassifier(**COMMON, label_smoothing=0.3).set_params(max_iter=300).fit, X, y)
    # the lowest loss is at the smoothed probabilities, 0.8 and 0.1
    assert_close(np.sort(smooth.predict_proba(X), axis=1), np.tile([0.1, 0.1, 0.8], (len(X), 1)), 0.05)


def test_a_bar_that_lbfgs_has_not_is_no_fault(capfd):
    X, y = load("wine", 60)
    it = MLPClassifier(**COMMON, verbose="bar")
    got = outcome(it.fit, X, y)
    assert got.error is None and it.verbose == "bar" and capfd.readouterr().out == ""
