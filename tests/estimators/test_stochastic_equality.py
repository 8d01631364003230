"""Curves, scores, coefficients and predictions are scikit-learn's, whatever the configuration."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from twins import REGRESSORS, SETS, assert_close, load, make, outcome, quietly

N_EPOCHS = 50
COMMON = {"hidden_layer_sizes": (12,), "random_state": 1, "max_iter": N_EPOCHS, "batch_size": 20}
SGD, LBFGS = {"solver": "sgd", "learning_rate_init": 0.005}, {"solver": "lbfgs", "max_iter": 12}
STOPPING = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 30}
WEIGHTS = {"weights": True}

CONFIGURATIONS = {
    "adam": {},
    "adam, tanh, two layers, alpha": {"activation": "tanh", "hidden_layer_sizes": (9, 6), "alpha": 0.1},
    "adam, logistic, weights": {"activation": "logistic", "batch_size": 50} | WEIGHTS,
    "adam, early stopping": STOPPING,
    "adam, early stopping, weights, not shuffled": STOPPING | WEIGHTS | {"shuffle": False},
    "adam, identity, batches of 7, other decays": {
        "activation": "identity",
        "batch_size": 7,
        "beta_1": 0.7,
        "beta_2": 0.99,
        "epsilon": 1e-4,
        "alpha": 0.0,
    },
    "adam, one batch, which is clipped": {"batch_size": 1000, "learning_rate_init": 0.01},
    "sgd, Nesterov": SGD,
    "sgd, momentum, inverse scaling": SGD
    | {"learning_rate": "invscaling", "power_t": 0.3, "nesterovs_momentum": False, "momentum": 0.5},
    "sgd, adaptive": SGD | {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 2, "alpha": 1.0},
    "sgd, no momentum, tanh, weights": SGD | WEIGHTS | {"momentum": 0, "activation": "tanh"},
    "sgd, early stopping, adaptive": SGD | STOPPING | {"learning_rate": "adaptive", "n_iter_no_change": 4},
    "sgd, no hidden layer, one batch": SGD | {"hidden_layer_sizes": (), "batch_size": "auto"},
    "sgd, momentum of 1, batches of 33": SGD
    | {"momentum": 1.0, "batch_size": 33, "learning_rate_init": 1e-4},
    "lbfgs": LBFGS,
    "lbfgs, tanh, two layers, weights": LBFGS
    | WEIGHTS
    | {"activation": "tanh", "hidden_layer_sizes": (9, 6), "alpha": 0.1},
    "lbfgs, logistic": LBFGS | {"activation": "logistic", "alpha": 1.0},
}
POISSON = {"loss": "poisson"}
OF_COUNTS = {
    "adam, Poisson": POISSON,
    "sgd, Poisson, weights, early stopping": POISSON | SGD | STOPPING | WEIGHTS,
    "lbfgs, Poisson, tanh": POISSON | LBFGS | {"activation": "tanh"},
}
TABLE = [(name, title, row) for name in SETS for title, row in CONFIGURATIONS.items()] + [
    (name, title, row) for name in REGRESSORS for title, row in OF_COUNTS.items()
]


def fit_both(name, row, dtype=np.float64, between_0_and_1=False, **options):
    """Fit both on a data set; give both, the rows and the two outcomes."""
    X, y = load(name)
    if between_0_and_1:
        X = (X - X.min(axis=0)) / np.where(np.ptp(X, axis=0), np.ptp(X, axis=0), 1)
    X, row = X.astype(dtype), COMMON | row | options
    weights = np.random.default_rng(1).uniform(0.1, 2, len(X)) if row.pop("weights", False) else None
    y = np.exp(y) if row.get("loss") == "poisson" else y
    pair = make(name, **row)
    return *pair, X, [outcome(it.fit, X, y, weights) for it in pair]


def assert_equal_results(ours, theirs, X, share):
    for what in ("loss_curve_", "validation_scores_"):
        if getattr(theirs, what, None) is not None:
            assert_close(getattr(ours, what), getattr(theirs, what), share, what)
    for what in ("coefs_", "intercepts_"):
        assert_close(getattr(ours, what), getattr(theirs, what), share, what)
    predict = "predict_proba" if hasattr(theirs, "predict_proba") else "predict"
    assert_close(getattr(ours, predict)(X), getattr(theirs, predict)(X), share, predict)


def test_the_table_is_of_sixty_configurations_at_least():
    assert len(TABLE) >= 60 and len({title for _, title, _ in TABLE}) == len(CONFIGURATIONS | OF_COUNTS)


@pytest.mark.parametrize("name, row", [pytest.param(n, row, id=f"{n}, {t}") for n, t, row in TABLE])
def test_results_are_scikit_learns(name, row):
    ours, theirs, X, (got, expected) = fit_both(name, row)
    assert (got.error, got.warnings) == (None, expected.warnings)
    assert ours.n_iter_ == theirs.n_iter_
    assert_equal_results(ours, theirs, X, 1e-5 if ours.solver == "lbfgs" else 1e-9)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("title", ["adam", "sgd, Nesterov", "adam, logistic, weights"])
def test_float32_is_near(name, title):
    row = CONFIGURATIONS[title]
    ours, theirs, _, _ = fit_both(name, row, np.float32, max_iter=1)
    assert ours.coefs_[0].dtype == np.float32 == ours.intercepts_[-1].dtype
    assert_close(ours.loss_curve_, theirs.loss_curve_, 1e-6)
    ours, theirs, X, _ = fit_both(name, row, np.float32, between_0_and_1=True, max_iter=20)
    assert_equal_results(ours, theirs, X, 1e-3)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("title", ["adam", "adam, early stopping", "sgd, adaptive", "lbfgs"])
def test_the_reference_is_nearer_still(name, title):
    row = CONFIGURATIONS[title] | {"max_iter": 10}
    _, theirs, X, _ = fit_both(name, row)
    ours = make(name, **COMMON | row)[0].set_params(ops="reference")
    ours = quietly(ours.fit, X, load(name)[1])
    if ours.solver == "lbfgs":
        assert_equal_results(ours, theirs, X, 1e-5)
    else:
        assert_close(ours.loss_curve_, theirs.loss_curve_, 1e-12)
        assert_equal_results(ours, theirs, X, 1e-9)


def test_the_name_of_the_operations_lives_on_in_copies():
    X, y = load("wine")
    ours = make("wine", **COMMON)[0].set_params(ops="reference", max_iter=2)
    assert clone(ours).ops == "reference"
    quietly(ours.fit, X, y)
    again = pickle.loads(pickle.dumps(ours))
    assert again.ops == "reference" and again.operations.__name__ == "fastmlp.reference"
    np.testing.assert_array_equal(again.predict_proba(X), ours.predict_proba(X))
    assert ours.set_params(ops=None).operations.__name__ == "fastmlp.kernels"
