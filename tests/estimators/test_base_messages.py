"""What is refused, warned of and printed: by the types and in the words of scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from twins import assert_close, load, make, outcome

COMMON = {"hidden_layer_sizes": (6,), "random_state": 1, "max_iter": 3, "batch_size": 20}
SGD, STOPPING = {"solver": "sgd"}, {"early_stopping": True}
DIVERGING = SGD | {"learning_rate_init": 1e5, "max_iter": 30}

PARAMETERS = [
    *({"hidden_layer_sizes": sizes} for sizes in (0, (3, -1), (3.5,), "a", None, [], np.array([3, 2]), 5)),
    {"solver": "foo"},
    *({"alpha": alpha} for alpha in (-1, np.inf, np.nan, 1e300)),
    *({"batch_size": size} for size in (0, 1.5, "x", 61, 1, np.int64(7))),
    *({"learning_rate": rate} for rate in ("x", None)),
    *({"learning_rate_init": rate} for rate in (0, -1, "x", 1, np.float32(0.01), 1e-300)),
    *({"power_t": power} for power in (-1, "x")),
    SGD | {"learning_rate": "invscaling", "power_t": 100},
    *({"max_iter": n} for n in (0, -1, 2.5, np.int64(2))),
    *({"shuffle": shuffle} for shuffle in ("yes", 1, np.bool_(False))),
    *({"random_state": state} for state in ("a", -1, np.random.default_rng(0))),
    *({"tol": tol} for tol in (-1, np.inf, "x")),
    {"warm_start": None},
    *(SGD | {"momentum": momentum} for momentum in (-0.1, 1.1, 1, "x", np.float32(0.5))),
    *(SGD | {"nesterovs_momentum": nesterov} for nesterov in (None, 1, np.bool_(True))),
    *({"early_stopping": stopping} for stopping in (1, 2, np.bool_(True))),
    *({"validation_fraction": share} for share in (1, 0, -0.1)),
    *(STOPPING | {"validation_fraction": share} for share in (0, 0.0, 1.0, 0.001, 0.02, 0.99, 0.3)),
    *({"beta_1": beta} for beta in (1.0, -1, 0)),
    *({"beta_2": beta} for beta in (1, "x")),
    *({"epsilon": epsilon} for epsilon in (0, -1, 1)),
    *({"n_iter_no_change": n} for n in (0, 1.5, np.inf)),
    *({"n_iter_no_change": 1, "tol": 1, "max_iter": 9} | more for more in ({}, SGD, STOPPING)),
    {"n_iter_no_change": 1, "tol": 1, "max_iter": 9, "learning_rate": "adaptive"} | SGD,
    {"max_fun": 0},
    *({"solver": "lbfgs"} | more for more in ({}, {"max_fun": 2}, {"max_iter": 1}, {"tol": 1e3}, STOPPING)),
    DIVERGING,
    DIVERGING | {"max_iter": 1},
    DIVERGING | STOPPING | {"validation_fraction": 0.3},  # the best weights are finite
    DIVERGING | {"learning_rate": "adaptive", "n_iter_no_change": 1},
]


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_parameters_are_answered_as_scikit_learn_does(name, call, verbose):
    X, y = load(name, 60)
    errors = []
    for parameters in PARAMETERS:
        if parameters.get("solver") == "lbfgs" and verbose:
            continue  # SciPy's own lines go past sys.stdout
        if verbose and parameters.get("learning_rate_init") == 1e5:
            continue  # digits of enormous losses
        more = {"classes": np.unique(y)} if call == "partial_fit" and name == "wine" else {}
        pair = make(name, **COMMON | {"verbose": verbose} | parameters)
        got, expected = (outcome(getattr(it, call, None), X, y, **more) for it in pair)
        assert got[1:] == expected[1:], parameters
        errors.append(expected.error)
        if hasattr(pair[1], "coefs_"):
            share = 1e-5 if pair[0].solver == "lbfgs" else 1e-9
            assert_close(pair[0].coefs_, pair[1].coefs_, share, str(parameters))
    assert len(set(errors)) > 20 and None in errors


def test_more_activations_and_a_bar_are_all_that_is_said_otherwise():
    X, y = load("wine", 60)
    for name, value in {"activation": "foo", "verbose": "x"}.items():
        got, expected = (outcome(it.fit, X, y) for it in make("wine", **{name: value}))
        assert got.error[0] is expected.error[0]
        assert got.error[1].split("must be")[0] == expected.error[1].split("must be")[0]
        assert got.error[1].split("Got")[1] == expected.error[1].split("Got")[1]


@pytest.mark.parametrize("module", ["sklearn", r"sklearn\.neural_network\._multilayer_perceptron$"])
def test_warnings_are_filtered_by_scikit_learns_module(module):
    X, y = load("wine", 60)
    for it in make("wine", **COMMON | {"batch_size": 61}):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=module)
            it.fit(X, y)  # or the tests' own filter makes errors of them
        with pytest.warns(ConvergenceWarning), pytest.warns(UserWarning, match="clipped"):
            it.fit(X, y)


Y = load("wine", 60)[1]
LABELS = {
    "text": np.array(list("abc"))[Y],
    "objects": np.array(list("abc"), object)[Y],
    "floats": Y * 1.0,
    "floats that are no classes": Y + 0.5,
    "a column": Y[:, None],
    "two columns of classes": np.column_stack([Y, Y]),
    "several labels": np.column_stack([Y == 0, Y == 1]).astype(int),
    "several labels, boolean": np.column_stack([Y == 0, Y == 1]),
    "two classes": np.where(Y == 1, 7, 3),
    "booleans": Y == 1,
    "a list": Y.tolist(),
    "too few": Y[:-1],
    "one class": np.zeros(60, int),
    "NaN": np.where(Y == 1, np.nan, Y),
    "None": None,
    "negative": Y - 5,
    "lists of text": [["a", "b"]] * 60,
    "huge": Y.astype(np.int64) * 2**60,
    "a class of one row": np.arange(60) == 7,
}


@pytest.mark.parametrize("more", [{}, STOPPING | {"validation_fraction": 0.2}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_are_answered_as_scikit_learn_does(labels, more):
    X, _ = load("wine", 60)
    pair = make("wine", **COMMON, **more)
    got, expected = (outcome(lambda it=it: it.fit(X, labels).predict(X)) for it in pair)
    assert got[1:] == expected[1:]
    if expected.error is None:
        assert got.value.dtype == expected.value.dtype
        np.testing.assert_array_equal(got.value, expected.value)
        assert_close(pair[0].coefs_, pair[1].coefs_, 1e-5 if more.get("solver") else 1e-9)


T = load("diabetes", 60)[1]
TARGETS = {
    "float32": T.astype(np.float32),
    "integers": (10 * T).astype(int),
    "a column": T[:, None],
    "two columns": np.column_stack([T, 2 * T]),
    "objects": T.astype(object),
    "a list": T.tolist(),
    "booleans": T > 0,
    "constant": np.zeros(60),
    "large": 1e8 * T,
    "NaN": np.where(T > 1, np.nan, T),
    "infinity": np.where(T > 1, np.inf, T),
    "too few": T[:-1],
    "complex": T + 1j,
    "None": None,
}


@pytest.mark.parametrize("more", [{}, STOPPING, SGD | {"learning_rate_init": 1e-9}], ids=str)
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_targets_are_answered_as_scikit_learn_does(targets, more):
    X, _ = load("diabetes", 60)
    pair = make("diabetes", **COMMON, **more)
    got, expected = (outcome(lambda it=it: it.fit(X, targets).predict(X)) for it in pair)
    assert got[1:] == expected[1:]
    if expected.error is None:
        assert got.value.shape == expected.value.shape
        assert_close(got.value, expected.value, 1e-9)
        assert_close(pair[0].loss_curve_, pair[1].loss_curve_, 1e-9)


def test_targets_of_text_are_no_numbers():
    X, y = load("diabetes", 60)
    for solver in ("adam", "lbfgs"):
        for it in make("diabetes", **COMMON, solver=solver):
            error = outcome(it.fit, X, y.astype(str)).error
            assert issubclass(error[0], TypeError)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_what_only_ours_refuses(solver):
    X, y = load("diabetes", 60)
    ours, _ = make("diabetes", **COMMON, solver=solver)
    with pytest.raises(ValueError, match=r"sample_weight\[3\] is -1.0, expected a finite number from 0 up"):
        ours.fit(X, y, np.where(np.arange(60) == 3, -1.0, 1))
    with pytest.raises(ValueError, match=r"y\[.*\] is .*, expected none below 0"):
        ours.set_params(loss="poisson").fit(X, y)


W = np.random.default_rng(0).uniform(0.1, 2, 60)
WEIGHTS = {
    "integers": np.arange(60),
    "one number": 2.0,
    "a list": W.tolist(),
    "some 0": np.where(np.arange(60) % 4, 0, W),
    "all 0": 0 * W,
    "NaN": np.where(W > 1, np.nan, W),
    "infinity": np.where(W > 1, np.inf, W),
    "too few": W[:-1],
    "a column": W[:, None],
    "text": W.astype(str),
    "large": 1e300 * W,
    "small": 1e-300 * W,
}


@pytest.mark.parametrize("more", [{}, STOPPING | {"validation_fraction": 0.2}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("name", ["wine", "diabetes"])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_are_answered_as_scikit_learn_does(weights, name, more):
    X, y = load(name, 60)
    pair = make(name, **COMMON, **more)
    got, expected = (outcome(lambda it=it: it.fit(X, y, weights)._forward_pass_fast(X)) for it in pair)
    assert got[1:] == expected[1:]
    if expected.error is None:
        assert_close(got.value, expected.value, 1e-5 if more.get("solver") else 1e-9)


def test_regressors_have_partial_fits_by_lbfgs_and_classifiers_not():
    X, y = load("diabetes", 60)
    pair = make("diabetes", **COMMON, solver="lbfgs")
    got, expected = (outcome(it.partial_fit, X, y) for it in pair)
    assert got[1:] == expected[1:]
    assert_close(pair[0].coefs_, pair[1].coefs_, 1e-5)
    for it in make("wine", solver="lbfgs"):
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
            it.partial_fit(X, y)
        assert "lbfgs is not stochastic" in str(caught.value.__cause__)
