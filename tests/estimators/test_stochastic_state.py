"""What lives on from call to call is scikit-learn's: warm starts, partial fits, parameters set between."""

import copy
import pickle

import numpy as np
import pytest
from twins import assert_close, assert_same_state, load, make, outcome, quietly

SHARE = 1e-9
COMMON = {"hidden_layer_sizes": (6,), "learning_rate_init": 0.01, "batch_size": 20, "max_iter": 8}
SOLVERS = [
    {"solver": "adam"},
    {"solver": "sgd", "learning_rate": "constant", "momentum": 0.5},
    {"solver": "sgd", "learning_rate": "invscaling", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.05},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 10.0, "momentum": 0},
]
EACH_SOLVER = pytest.mark.parametrize("solver", SOLVERS, ids=lambda row: "-".join(map(str, row.values())))
X, Y = load("wine", 90)
PART = slice(0, 37)  # of three classes, with a ragged last batch


def fit(it):
    return it.fit(X, Y)


def partial_fit(it):
    return it.partial_fit(X, Y, classes=[0, 1, 2])


def partial_fit_part(it):
    return it.partial_fit(X[PART], Y[PART])


def partial_fit_weighted(it):
    return it.partial_fit(X, Y, np.linspace(0.1, 2, len(X)))


def put(**parameters):
    return lambda it: it.set_params(**parameters)


def assert_alike_after_each(steps, parameters, seed=3, name="wine", share=SHARE):
    """Make each call on both; what they print, warn of, raise and keep is the same after each."""
    states = [np.random.RandomState(5), np.random.RandomState(5)] if seed == "instance" else [seed, seed]
    pair = make(name, **COMMON | parameters)
    for it, state in zip(pair, states, strict=True):
        it.set_params(random_state=state)
    for step in steps:
        got, expected = (outcome(step, it) for it in pair)
        assert got[1:] == expected[1:]
        assert_same_state(*pair, share)
        if expected.error is None:
            assert_close(pair[0].predict_proba(X), pair[1].predict_proba(X), share)
    if seed == "instance":  # not a draw more, not one less
        for got, expected in zip(*(state.get_state() for state in states), strict=True):
            np.testing.assert_array_equal(got, expected)
    return pair


# --- sequences of calls ----------------------------------------------------------------------------------

SEQUENCES = {
    "warm starts": ({"warm_start": True}, [fit] * 4),
    "warm starts that print": ({"warm_start": True, "verbose": True, "max_iter": 3}, [fit] * 3),
    "warm starts, early stopping": (
        {"warm_start": True, "early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3},
        [fit, fit, fit, put(learning_rate_init=0.5), fit, fit],
    ),
    "partial fits": ({}, [partial_fit, partial_fit_part, partial_fit_part, partial_fit_weighted]),
    "partial fits about a fit": ({}, [partial_fit, partial_fit_part, fit, partial_fit_part, partial_fit]),
    "a fit again": ({}, [fit, fit, put(max_iter=2), fit]),
    "numbers set between": (
        {},
        [partial_fit, put(alpha=1.0), partial_fit, put(batch_size=7), partial_fit, put(shuffle=False)]
        + [partial_fit, put(activation="tanh"), partial_fit, put(hidden_layer_sizes=(9,)), partial_fit],
    ),
    "numbers of the optimizer set between, which counts for a fit alone": (
        {},
        [partial_fit, put(beta_1=0.5, beta_2=0.9, epsilon=1e-2, momentum=0.3, power_t=0.1)]
        + [put(learning_rate_init=0.05, nesterovs_momentum=False, learning_rate="constant"), partial_fit]
        + [partial_fit, fit, partial_fit],
    ),
    "a warm start of other widths, which are not looked at": (
        {"warm_start": True},
        [fit, put(hidden_layer_sizes=(9,)), fit],
    ),
    "classes that are refused": (
        {},
        [lambda it: it.partial_fit(X, Y), lambda it: it.partial_fit(X, Y, classes=[0, 1]), partial_fit]
        + [lambda it: it.partial_fit(X, Y + 1), lambda it: it.partial_fit(X, Y, classes=[1, 2, 3])],
    ),
    "a warm start with other classes": ({"warm_start": True}, [fit, lambda it: it.fit(X, Y % 2), fit]),
    "features too few": ({}, [partial_fit, lambda it: it.partial_fit(X[:, :5], Y), partial_fit]),
    "early stopping refused": ({"early_stopping": True}, [partial_fit, put(early_stopping=False)]),
}


@EACH_SOLVER
@pytest.mark.parametrize("seed", [3, "instance"])
@pytest.mark.parametrize("parameters, steps", SEQUENCES.values(), ids=SEQUENCES)
def test_states_are_scikit_learns_after_each_call(parameters, steps, seed, solver):
    assert_alike_after_each(steps, solver | parameters, seed)


@pytest.mark.parametrize("first, second", [("adam", "sgd"), ("sgd", "adam")])
def test_another_solver_counts_from_the_next_fit_on(first, second):
    steps = [partial_fit, put(solver=second), partial_fit, partial_fit, fit, partial_fit]
    assert_alike_after_each(steps, {"solver": first})


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_epochs_after_lbfgs_and_lbfgs_after_epochs(solver):
    rest = [put(solver="lbfgs"), fit, fit, put(solver=solver), fit, partial_fit_part]
    assert_alike_after_each([fit, *rest], {"solver": solver, "warm_start": True}, share=1e-5)
    # scikit-learn has no curve to go on with there
    ours, theirs = assert_alike_after_each([fit], {"solver": "lbfgs"}, share=1e-5)
    got, expected = (outcome(partial_fit, it.set_params(solver=solver)) for it in (ours, theirs))
    assert got.error[0] is expected.error[0] is AttributeError and "loss_curve_" in got.error[1]


def test_a_warm_start_of_more_layers_is_refused():
    ours = quietly(fit, make("wine", **COMMON, warm_start=True)[0])
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(9, 4\) has 2 layers, but .* have 1"):
        ours.set_params(hidden_layer_sizes=(9, 4)).fit(X, Y)


def test_a_regressors_partial_fits():
    X, y = load("diabetes", 60)
    ours, theirs = make("diabetes", **COMMON, random_state=3)
    for rows in (slice(0, 41), slice(5, 60), slice(0, 1)):
        for it in (ours, theirs):
            quietly(it.partial_fit, X[rows], y[rows])
        assert_same_state(ours, theirs, SHARE)
    with pytest.raises(ValueError, match="y has 2 columns, expected 1"):
        ours.partial_fit(X, np.column_stack([y, y]))


@EACH_SOLVER
def test_copies_go_on_as_the_original_does(solver):
    it = quietly(fit, make("wine", **COMMON | solver, random_state=3)[0])
    copies = [pickle.loads(pickle.dumps(it)), copy.deepcopy(it)]
    for each in (it, *copies):
        partial_fit_part(each)
    for each in copies:
        assert_same_state(it, each, 0)


# --- coefficients that a user writes ---------------------------------------------------------------------


def replace(change):
    """Assign coefficients that `change` has made."""

    def step(it):
        it.coefs_ = [change(w) for w in it.coefs_]
        it.intercepts_ = [change(b) for b in it.intercepts_]

    return step


def write(it):
    it.coefs_[0][0] = 0.5
    it.coefs_[1] *= 2
    it.intercepts_[1][-1] = -1


@EACH_SOLVER
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(
    "change",
    [write, replace(lambda a: a + 0.5), replace(np.asfortranarray), replace(lambda a: a[::-1])],
    ids=["in place", "assigned", "Fortran order", "backwards"],
)
def test_what_is_written_to_coefficients_counts(change, warm_start, solver):
    steps = [fit, change, fit] if warm_start else [partial_fit, change, partial_fit, change, partial_fit_part]
    assert_alike_after_each(steps, solver | {"warm_start": warm_start})


@EACH_SOLVER
def test_coefficients_of_float32_stay_so_and_count(solver):
    # each step rounds them there and each epoch here: about 1e-7 a step, and steps add up
    steps = [partial_fit, replace(lambda a: a.astype(np.float32)), partial_fit, partial_fit_part]
    ours, _ = assert_alike_after_each(steps, solver | {"tol": 0.0}, share=1e-5)
    assert {array.dtype for array in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}


def test_float32_data_trains_coefficients_of_float64_in_float64():
    ours, theirs = assert_alike_after_each([partial_fit], {"solver": "adam"})
    for it in (ours, theirs):
        it.partial_fit(X.astype(np.float32), Y)
    assert_same_state(ours, theirs, SHARE)


@EACH_SOLVER
def test_read_only_coefficients_are_replaced(solver):
    locked, free = (make("wine", **COMMON | solver, random_state=3)[0] for _ in range(2))
    for it in (locked, free):
        partial_fit(it)
    before = locked.coefs_ + locked.intercepts_
    kept = [array.copy() for array in before]
    for array in before:
        array.flags.writeable = False
    for it in (locked, free):
        partial_fit(it)
    for got, expected in zip(locked.coefs_ + before, free.coefs_ + kept, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_who_holds_an_array_sees_it_trained():
    for it in make("wine", **COMMON, random_state=3):
        held = partial_fit(it).coefs_[0]
        before = held.copy()
        partial_fit(it)
        assert it.coefs_[0] is held and (held != before).any()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_coefficients_assigned_before_a_first_partial_fit_are_gone_on_from(solver):
    pair = make("wine", **COMMON, solver=solver, random_state=3)
    rng = np.random.default_rng(0)
    coefs, intercepts = [rng.normal(size=(13, 6)), rng.normal(size=(6, 3))], [np.zeros(6), np.ones(3)]
    for it in pair:  # what scikit-learn wants beside them
        it.coefs_, it.intercepts_ = [w.copy() for w in coefs], [b.copy() for b in intercepts]
        it.n_layers_, it.n_outputs_, it.out_activation_, it.n_features_in_ = 3, 3, "softmax", 13
        it.loss_curve_, it._no_improvement_count, it.best_loss_, it.t_ = [], 0, np.inf, 0
        it.partial_fit(X, Y, classes=[0, 1, 2])
    assert_same_state(*pair, SHARE)
    assert np.abs(pair[0].coefs_[0] - coefs[0]).max() < 0.2  # a few steps away


def test_a_warning_that_is_an_error_loses_no_training():
    ours, theirs = make("wine", **COMMON, random_state=3)
    for it in (ours, theirs):
        with pytest.raises(UserWarning, match="Maximum iterations"):  # pytest makes errors of them
            it.fit(X, Y)
    assert_same_state(ours, theirs, SHARE)
