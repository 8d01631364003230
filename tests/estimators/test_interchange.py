import numpy as np
import pytest
from sklearn import __version__ as sklearn_version
from sklearn import neural_network
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_linnerud,
    load_wine,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import scale
from sklearn.utils.fixes import parse_version

from fastmlp import MLPClassifier, MLPRegressor, schedules

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TWINS = {MLPClassifier: neural_network.MLPClassifier, MLPRegressor: neural_network.MLPRegressor}
RELATIVE = 1e-9  # of curves, to their largest element: what the estimators are held to after 50 epochs


def classes(load):
    X, y = load(return_X_y=True)
    return scale(X), y


def numbers(load):
    X, y = load(return_X_y=True)
    return scale(X), scale(y)


PROBLEMS = {
    "two classes": (MLPClassifier, *classes(load_breast_cancer)),
    "three classes": (MLPClassifier, *classes(load_wine)),
    "words": (
        MLPClassifier,
        classes(load_wine)[0],
        np.array(["red", "white", "pink"])[classes(load_wine)[1]],
    ),
    "labels": (MLPClassifier, *make_multilabel_classification(200, random_state=0)),
    "a target": (MLPRegressor, *numbers(load_diabetes)),
    "targets": (MLPRegressor, *numbers(load_linnerud)),
    "counts": (MLPRegressor, scale(load_diabetes().data), load_diabetes().target // 40),
}
SOLVERS = {
    "adam": {"solver": "adam"},
    "nesterov": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.01},
    "plain": {"solver": "sgd", "momentum": 0.0, "learning_rate": "adaptive"},
    "stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "lbfgs": {"solver": "lbfgs"},
}

TOO_MUCH = {("targets", "stopping"), ("counts", "nesterov"), ("counts", "plain")}  # a few rows, steep losses
if parse_version(sklearn_version) < parse_version("1.9"):
    TOO_MUCH.add(("words", "stopping"))  # scikit-learn looked for NaN among the words
CASES = [(problem, solver) for problem in PROBLEMS for solver in SOLVERS if (problem, solver) not in TOO_MUCH]


def close(got, expected):
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= RELATIVE * np.abs(expected).max()


def same_weights(a, b):
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
        assert not np.shares_memory(ours, theirs)


def same_predictions(a, b, X):
    if hasattr(a, "predict_proba"):
        np.testing.assert_array_equal(a.predict(X), b.predict(X))
        close(a.predict_proba(X), b.predict_proba(X))
    else:
        close(a.predict(X), b.predict(X))


def there_and_back(problem, params, ours_first):
    kind, X, y = PROBLEMS[problem]
    loss = {"loss": "poisson"} if problem == "counts" else {}
    first = kind if ours_first else TWINS[kind]
    fitted = first(hidden_layer_sizes=(7, 5), max_iter=5, random_state=3, **loss, **params).fit(X, y)
    moved = fitted.to_sklearn() if ours_first else kind.from_sklearn(fitted)
    assert type(moved) is (TWINS[kind] if ours_first else kind)
    return fitted, moved, X, y


@pytest.mark.parametrize("ours_first", [True, False], ids=["to_sklearn", "from_sklearn"])
@pytest.mark.parametrize(("problem", "solver"), CASES)
def test_it_predicts_and_trains_on_alike_on_both_sides(problem, solver, ours_first):
    fitted, moved, X, y = there_and_back(problem, SOLVERS[solver], ours_first)
    same_weights(fitted, moved)
    same_predictions(fitted, moved, X)
    for estimator in (fitted, moved):
        estimator.set_params(warm_start=True).fit(X, y)
    assert moved.n_iter_ == fitted.n_iter_
    if solver == "lbfgs":  # its line searches amplify
        assert moved.loss_ == pytest.approx(fitted.loss_, rel=1e-5)
        return
    close(moved.loss_curve_, fitted.loss_curve_)
    assert len(moved.loss_curve_) == 10
    for ours, theirs in zip(fitted.coefs_, moved.coefs_, strict=True):
        close(ours, theirs)
    if solver == "stopping":
        close(moved.validation_scores_, fitted.validation_scores_)
        return
    for estimator in (fitted, moved):
        for _ in range(3):
            estimator.partial_fit(X, y)
    assert moved.t_ == fitted.t_ == 13 * len(X)
    close(moved.loss_curve_, fitted.loss_curve_)
    same_predictions(fitted, moved, X)


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
@pytest.mark.parametrize("ours_first", [True, False], ids=["to_sklearn", "from_sklearn"])
def test_what_an_optimizer_has_accumulated_goes_along(solver, ours_first):
    kind, X, y = PROBLEMS["three classes"]
    first = kind if ours_first else TWINS[kind]
    fitted = first(random_state=0, **SOLVERS[solver])
    for _ in range(4):
        fitted.partial_fit(X, y, classes=np.unique(y))
    moved = fitted.to_sklearn() if ours_first else kind.from_sklearn(fitted)
    for estimator in (fitted, moved):
        for _ in range(4):
            estimator.partial_fit(X, y)
    close(moved.loss_curve_, fitted.loss_curve_)
    for ours, theirs in zip(fitted.coefs_, moved.coefs_, strict=True):
        close(ours, theirs)


def test_training_one_leaves_the_other_alone():
    fitted, moved, X, y = there_and_back("three classes", {}, True)
    before, curve = fitted.predict_proba(X), list(fitted.loss_curve_)
    moved.partial_fit(X[:50], y[:50])
    moved.coefs_[0][:] = 0
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert fitted.loss_curve_ == curve


def test_a_generator_of_random_numbers_is_copied_in_its_state():
    _, X, y = PROBLEMS["three classes"]
    fitted = MLPClassifier(max_iter=3, random_state=np.random.RandomState(5)).fit(X, y)
    moved = fitted.to_sklearn()
    assert moved.random_state is not fitted.random_state
    close(moved.fit(X, y).loss_curve_, fitted.fit(X, y).loss_curve_)


def test_names_of_features_go_along():
    pandas = pytest.importorskip("pandas")
    _, X, y = PROBLEMS["three classes"]
    frame = pandas.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    fitted = MLPClassifier(max_iter=3, random_state=0).fit(frame, y)
    moved = fitted.to_sklearn()
    same_predictions(fitted, moved, frame)
    assert [*MLPClassifier.from_sklearn(moved).feature_names_in_] == [*frame.columns]


def test_single_precision_stays():
    _, X, y = PROBLEMS["three classes"]
    fitted = neural_network.MLPClassifier(max_iter=3, random_state=0).fit(X.astype(np.float32), y)
    moved = MLPClassifier.from_sklearn(fitted)
    same_weights(fitted, moved)
    assert moved.predict_proba(X.astype(np.float32)).dtype == np.float32


def test_one_that_is_not_fitted_stays_so():
    moved = MLPClassifier.from_sklearn(neural_network.MLPClassifier((3,), alpha=0.5))
    assert moved.get_params() == MLPClassifier((3,), alpha=0.5).get_params()
    with pytest.raises(NotFittedError):
        moved.predict([[1.0]])


def test_ours_comes_from_ours_and_from_a_class_of_the_users():
    class Own(neural_network.MLPClassifier):
        def __init__(self, alpha=1.0, max_iter=3, note="of its own"):
            super().__init__(alpha=alpha, max_iter=max_iter)
            self.note = note

    class OwnOfOurs(MLPClassifier):
        def __init__(self, note, max_iter=3, dropout=0.0):
            super().__init__(max_iter=max_iter, dropout=dropout)
            self.note = note

    _, X, y = PROBLEMS["three classes"]
    fitted = MLPClassifier(activation="gelu", max_iter=3, random_state=0, dropout=0.1).fit(X, y)
    copy = MLPClassifier.from_sklearn(fitted)
    assert copy.get_params() == fitted.get_params()
    same_weights(copy, fitted)
    same_predictions(moved := MLPClassifier.from_sklearn(own := Own().fit(X, y)), own, X)
    assert (moved.alpha, moved.solver) == (1.0, "adam")
    ours = OwnOfOurs("a note").fit(X, y)
    same_predictions(ours.to_sklearn(), ours, X)
    with pytest.raises(ValueError, match=r"set_params\(dropout=0\.0\)"):
        ours.set_params(dropout=0.5).to_sklearn()


def test_another_kind_is_refused():
    with pytest.raises(TypeError, match="MLPRegressor, expected scikit-learn's MLPClassifier"):
        MLPClassifier.from_sklearn(neural_network.MLPRegressor())
    with pytest.raises(TypeError, match="type str, expected scikit-learn's MLPRegressor"):
        MLPRegressor.from_sklearn("a model")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"activation": "gelu"}, "no activation='gelu'"),
        ({"activation": ["relu", "tanh"]}, r"no activation=\['relu', 'tanh'\]"),
        ({"activation": ("mish", "mish")}, "no activation='mish'"),
        ({"dropout": 0.2}, r"no dropout, which is 0\.2; .* set_params\(dropout=0\.0\)"),
        ({"dropout": (0.0, 0.5)}, "no dropout"),
        ({"weight_decay": 0.01}, "no weight_decay"),
        ({"ema": 0.9}, r"no ema, .* set_params\(ema=None\)"),
        ({"schedule": schedules.cosine(1e-3, 0.0)}, "no schedule"),
        ({"class_weight": "balanced"}, "no class_weight, which is 'balanced'"),
        ({"class_weight": {0: 2.0}}, "no class_weight"),
        ({"label_smoothing": 0.1}, "no label_smoothing"),
    ],
)
def test_what_scikit_learn_has_not_is_refused_by_name(params, said):
    _, X, y = PROBLEMS["three classes"]
    fitted = MLPClassifier((4, 4), max_iter=2, **params).fit(X, y)
    with pytest.raises(ValueError, match=said):
        fitted.to_sklearn()


def test_what_says_nothing_of_the_results_stays_behind():
    _, X, y = PROBLEMS["three classes"]
    params = {"activation": ["tanh", "tanh"], "dropout": (0.0, 0.0), "n_threads": 1, "ops": "reference"}
    fitted = MLPClassifier((4, 4), max_iter=2, verbose="bar", dtype="float64", **params)
    with pytest.warns(ConvergenceWarning):
        moved = fitted.fit(X, y).to_sklearn()
    assert (moved.activation, moved.verbose) == ("tanh", True)
    same_predictions(fitted, moved, X)
    assert fitted.set_params(activation=["tanh", "tanh"]).activation == ["tanh", "tanh"]


def test_no_hidden_layer_has_no_activation():
    _, X, y = PROBLEMS["three classes"]
    fitted = MLPClassifier((), activation=[], max_iter=3, random_state=0).fit(X, y)
    same_predictions(fitted, fitted.to_sklearn(), X)


def test_requests_of_metadata_go_along_but_for_what_is_not_there():
    import sklearn

    with sklearn.config_context(enable_metadata_routing=True):
        ours = MLPClassifier().set_fit_request(sample_weight=True, eval_set=False)
        requests = ours.to_sklearn().get_metadata_routing().fit.requests
        assert requests == {"sample_weight": True}
        back = MLPClassifier.from_sklearn(ours.to_sklearn())
        assert back.get_metadata_routing().fit.requests["sample_weight"] is True
        assert ours.get_metadata_routing().fit.requests["eval_set"] is False
