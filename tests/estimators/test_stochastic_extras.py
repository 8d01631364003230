"""What scikit-learn has not: by hand, with fastmlp's own network, to the same bits."""

from itertools import pairwise

import numpy as np
import pytest
from twins import assert_close, load, make, outcome, quietly

from fastmlp import MLP, SGD, Adam, DataLoader, MLPClassifier, MLPRegressor, schedules
from fastmlp.config import ACTIVATIONS

SEED, N_EPOCHS, BATCH, RATE, HIDDEN = 4, 6, 20, 0.01, (7, 5)
COMMON = {
    "hidden_layer_sizes": HIDDEN,
    "random_state": SEED,
    "batch_size": BATCH,
    "learning_rate_init": RATE,
    "max_iter": N_EPOCHS,
    "alpha": 0.02,
}
X, Y = load("wine", 90)
N_BATCHES = -(-len(X) // BATCH)


def by_hand(optimizer, rates=None, n_epochs=N_EPOCHS, dropout=0.0, activation="relu", factor=6.0, **options):
    """Train a network as an estimator does: the draws of random_state, the orders, the steps."""
    rng, units = np.random.RandomState(SEED), (X.shape[1], *HIDDEN, 3)
    weights = []
    for n_in, n_out in pairwise(units):
        bound = np.sqrt(factor / (n_in + n_out))
        weights += [rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)]
    seed = rng.randint(2**31) if np.any(dropout) else None
    model = MLP(units, activation=activation, dropout=dropout, dtype=np.float64, seed=seed)
    model.set_weights(weights)
    loader, order = DataLoader(X, Y, BATCH), np.arange(len(X))
    for epoch in range(n_epochs):
        drawn = np.arange(len(X))
        rng.shuffle(drawn)
        order = order[drawn]
        now = RATE if rates is None else rates[epoch]
        model.run_epoch(loader, order, now, np.empty(N_BATCHES), optimizer, **options)
    return model


def assert_same_network(it, model):
    weights = model.get_weights()
    for got, expected in zip(it.coefs_ + it.intercepts_, weights[::2] + weights[1::2], strict=True):
        np.testing.assert_array_equal(got, expected)


def fitted(**parameters):
    return quietly(MLPClassifier(**COMMON | parameters).fit, X, Y)


EXTRAS = {
    "dropout": {"dropout": 0.4},
    "dropout of inputs": {"dropout": (0.2, 0.0)},
    "dropout of both": {"dropout": [0.1, 0.5]},
    "ema": {"ema": 0.9},
    "label smoothing": {"label_smoothing": 0.2},
    "activations": {"activation": ["gelu", "tanh"]},
    "all together": {"dropout": 0.3, "ema": 0.8, "label_smoothing": 0.1, "activation": "selu"},
}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)
def test_extras_are_those_of_networks(extras, solver):
    optimizer = Adam(l2=0.02) if solver == "adam" else SGD(momentum=0.9, nesterov=True, l2=0.02)
    assert_same_network(fitted(solver=solver, **extras), by_hand(optimizer, **extras))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weight_decay_is_decoupled(solver):
    decay = {"l2": 0.02, "weight_decay": 0.3}
    optimizer = Adam(**decay) if solver == "adam" else SGD(momentum=0.9, nesterov=True, **decay)
    assert_same_network(fitted(solver=solver, weight_decay=0.3), by_hand(optimizer))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_activation_and_a_list_of_it_are_the_same(activation):
    factor = 2.0 if activation == "logistic" else 6.0
    model = by_hand(Adam(l2=0.02), activation=activation, factor=factor)
    for given in (activation, [activation] * 2, (activation,) * 2):
        it = fitted(activation=given)
        assert_same_network(it, model)
        assert it.activation == given


# --- schedules -------------------------------------------------------------------------------------------

SCHEDULES = {
    "cosine": schedules.cosine(0.02, 0.001),
    "linear, warm-up": schedules.linear(0.02, 0.0, warmup=0.3),
    "one cycle": schedules.one_cycle(0.05),
    "of steps": lambda steps, total: 0.01 + 0.01 * steps / total,
    "of epochs": lambda epoch: 0.02 / (epoch + 1),
}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_go_over_all_steps_of_max_iter(schedule, solver):
    optimizer = Adam(schedule, l2=0.02) if solver == "adam" else SGD(schedule, momentum=0.5, l2=0.02)
    rates = [
        schedules.rates(optimizer, epoch * N_BATCHES, N_BATCHES, N_EPOCHS * N_BATCHES, epoch)
        for epoch in range(N_EPOCHS)
    ]
    plain = {"momentum": 0.5, "nesterovs_momentum": False}
    assert_same_network(fitted(solver=solver, schedule=schedule, **plain), by_hand(optimizer, rates))


def test_momenta_of_a_schedule_are_taken():
    schedule = schedules.one_cycle(0.05, momentum=(0.95, 0.6))
    optimizer = SGD(schedule, momentum=0.9, nesterov=True, l2=0.02)
    total = N_EPOCHS * N_BATCHES
    rates = [schedules.rates(optimizer, epoch * N_BATCHES, N_BATCHES, total, epoch) for epoch in range(6)]
    assert len(np.unique(np.vstack(rates)[:, 1])) > 5
    assert_same_network(fitted(solver="sgd", schedule=schedule), by_hand(optimizer, rates))


def test_a_constant_schedule_is_the_rate():
    assert_same_network(fitted(schedule=schedules.constant(RATE)), by_hand(Adam(l2=0.02)))


def epochs_of(schedule_seen, call):
    del schedule_seen[:]
    quietly(call)
    return list(schedule_seen)


def test_a_fit_begins_a_schedule_and_partial_fits_go_on_with_it():
    seen = []
    it = MLPClassifier(
        **COMMON | {"max_iter": 3}, warm_start=True, schedule=lambda epoch: seen.append(epoch) or RATE
    )
    assert epochs_of(seen, lambda: it.fit(X, Y)) == [0, 1, 2]
    assert epochs_of(seen, lambda: it.fit(X, Y)) == [0, 1, 2]  # as the optimizer
    it.set_params(warm_start=False)
    assert epochs_of(seen, lambda: it.fit(X, Y)) == [0, 1, 2]
    assert epochs_of(seen, lambda: it.partial_fit(X, Y)) == [3]
    assert epochs_of(seen, lambda: it.partial_fit(X[:7], Y[:7])) == [4]  # whatever the number of rows
    assert epochs_of(seen, lambda: it.partial_fit(X, Y)) == [5]


# --- dropout, averages and numbers of threads ------------------------------------------------------------


def test_dropout_of_nothing_draws_nothing():
    assert_same_network(fitted(dropout=(0.0, 0.0)), by_hand(Adam(l2=0.02)))
    assert (fitted(dropout=0.5).coefs_[0] != fitted().coefs_[0]).any()


def test_dropout_goes_on_over_partial_fits():
    it = MLPClassifier(**COMMON | {"learning_rate_init": 1e-300}, dropout=0.5, shuffle=False)
    losses = [it.partial_fit(X, Y, classes=[0, 1, 2]).loss_ for _ in range(3)]
    assert len(set(losses)) == 3  # other units each time, though weights and order are the same


def test_an_average_is_what_scores_and_predictions_are_of():
    X_val, y_val = X[60:], Y[60:]
    it = MLPClassifier(**COMMON | {"max_iter": 1}, ema=0.9)
    quietly(it.fit, X, Y, eval_set=(X_val, y_val))
    assert it.validation_scores_ == [it.score(X_val, y_val)]
    model = by_hand(Adam(l2=0.02), n_epochs=1, ema=0.9)
    np.testing.assert_array_equal(it.predict_proba(X), model.predict_proba(X))
    assert it.network_.loss(X_val, y_val) == it.validation_loss_curve_[0]
    with pytest.raises(ValueError, match="partial_fit does not support ema=0.9"):
        it.partial_fit(X, Y)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_number_of_threads_changes_no_bit(solver):
    rng = np.random.default_rng(0)
    samples, labels = rng.normal(size=(3000, 60)), np.arange(3000) % 4
    options = {"hidden_layer_sizes": (120, 70), "batch_size": 1000, "max_iter": 2, "random_state": 0}
    fits = [MLPClassifier(**options, solver=solver, n_threads=n) for n in (1, 2, 4, None)]
    for it in fits:
        quietly(it.fit, samples, labels)
    for it in fits[1:]:
        for got, expected in zip(
            it.coefs_ + it.intercepts_, fits[0].coefs_ + fits[0].intercepts_, strict=True
        ):
            np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(it.predict_proba(samples), fits[0].predict_proba(samples))
        if solver != "lbfgs":
            assert it.loss_curve_ == fits[0].loss_curve_


# --- bad values ------------------------------------------------------------------------------------------

BAD = [
    *({"dropout": bad} for bad in (1, -0.1, "x", (0.1, 0.2, 0.3), (0.1,), [0.1, 1.0], True)),
    *({"weight_decay": bad} for bad in (-1, "x", np.inf, np.nan)),
    *({"ema": bad} for bad in (0, 1, "x", np.nan)),
    *({"schedule": bad} for bad in ("cosine", 0.1)),
    *({"schedule": lambda epoch, bad=bad: bad} for bad in (-1.0, np.nan, np.inf, "x", None)),
    {"schedule": lambda steps, total: [1.0]},
    *({"n_threads": bad} for bad in (0, -1, 1.5, "x")),
    *({"dtype": bad} for bad in ("float16", int, np.int32, complex, str, "x")),
    *({"ops": bad} for bad in ("x", 1)),
    *({"activation": bad} for bad in (["relu"], ["relu"] * 3, [], ["relu", "foo"], [1, 2], "foo")),
]
OF_CLASSIFIERS = [
    *(
        {"class_weight": bad}
        for bad in ("x", 5, [1, 2, 3], {7: 1}, {0: -1}, {0: "a"}, {0: np.nan}, {0: None})
    ),
    *({"label_smoothing": bad} for bad in (1, -0.1, "x", np.nan)),
]


@pytest.mark.parametrize("bad", BAD + OF_CLASSIFIERS, ids=str)
def test_bad_values_are_refused_by_name(bad):
    (name,) = bad
    kinds = (MLPClassifier,) if bad in OF_CLASSIFIERS else (MLPClassifier, MLPRegressor)
    for kind in kinds:
        for solver in ("adam", "lbfgs"):
            error = outcome(kind(**COMMON | bad, solver=solver).fit, X, Y).error
            assert error and issubclass(error[0], ValueError) and name in error[1], error
        more = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
        error = outcome(kind(**COMMON | bad).partial_fit, X, Y, **more).error
        assert error and issubclass(error[0], ValueError) and name in error[1], error


def test_errors_of_a_users_schedule_are_its_own():
    with pytest.raises(ZeroDivisionError):
        MLPClassifier(**COMMON, schedule=lambda epoch: 1 / 0).fit(X, Y)


def test_extras_that_are_left_alone_change_nothing():
    ours, theirs = make("wine", **COMMON)
    nothing = {"class_weight": None, "label_smoothing": 0, "dropout": 0, "weight_decay": 0, "ema": None}
    quietly(ours.set_params(**nothing, n_threads=1, ops="kernels").fit, X, Y)
    quietly(theirs.fit, X, Y)
    assert_close(ours.coefs_, theirs.coefs_, 1e-9)
