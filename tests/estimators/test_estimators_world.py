"""The estimators in scikit-learn's tools, where their results are those of scikit-learn's own."""

import matplotlib
import numpy as np
import pytest
from sklearn import ensemble, neural_network
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.inspection import permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    LearningCurveDisplay,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.parallel import Parallel, delayed

import fastmlp
from fastmlp.kernels.core import machine

# a worker process gives its warnings to stderr, and none of them fails a test
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X_NUMBERS, Y_NUMBERS = load_diabetes(return_X_y=True, scaled=False)
Y_NUMBERS = Y_NUMBERS / 100

few = {"hidden_layer_sizes": (6,), "max_iter": 5, "learning_rate_init": 0.05, "random_state": 0}


def classifier(package, **options):
    return package.MLPClassifier(**few | options)


def regressor(package, **options):
    return package.MLPRegressor(**few | options)


def in_columns(model):
    """Columns that are prepared in different ways, one of them a category."""
    number, name = make_pipeline(StandardScaler()), OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("a", number, [0, 2]), ("b", MinMaxScaler(), [1]), ("c", name, [3])])
    return make_pipeline(columns, model)


def close(got, expected):
    """Whether 5 epochs' results are those of another order of summation."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-9 * max(1, np.abs(expected).max())


CLASSIFIERS = {
    "pipeline": lambda package: make_pipeline(StandardScaler(), classifier(package)),
    "columns": lambda package: in_columns(classifier(package)),
    "calibrated": lambda package: CalibratedClassifierCV(classifier(package), cv=2),
    "calibrated in all": lambda package: CalibratedClassifierCV(classifier(package), cv=2, ensemble=False),
    "voting": lambda package: ensemble.VotingClassifier(
        [("a", classifier(package)), ("b", classifier(package, random_state=1))], voting="soft"
    ),
    "stacking": lambda package: ensemble.StackingClassifier(
        [("a", classifier(package)), ("b", classifier(package, solver="sgd"))], cv=2
    ),
    "bagging": lambda package: ensemble.BaggingClassifier(classifier(package), 3, random_state=0),
    "bagging of few columns": lambda package: ensemble.BaggingClassifier(
        classifier(package), 3, max_features=2, max_samples=0.5, random_state=0
    ),
    "boosting": lambda package: ensemble.AdaBoostClassifier(
        classifier(package), n_estimators=3, random_state=0
    ),
    "one against rest": lambda package: OneVsRestClassifier(classifier(package)),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_made_of_ours_are_those_made_of_scikit_learns(name):
    got, expected = (CLASSIFIERS[name](package).fit(X, Y) for package in (fastmlp, neural_network))
    close(got.predict_proba(X), expected.predict_proba(X))
    assert (got.predict(X) == expected.predict(X)).all()
    assert got.score(X, Y) == expected.score(X, Y)


REGRESSORS = {
    "pipeline": lambda package: make_pipeline(StandardScaler(), regressor(package)),
    "columns": lambda package: in_columns(regressor(package)),
    "voting": lambda package: ensemble.VotingRegressor(
        [("a", regressor(package)), ("b", regressor(package))]
    ),
    "bagging": lambda package: ensemble.BaggingRegressor(regressor(package), 3, random_state=0),
    "boosting": lambda package: ensemble.AdaBoostRegressor(
        regressor(package), n_estimators=3, random_state=0
    ),
    "target": lambda package: TransformedTargetRegressor(regressor(package), transformer=StandardScaler()),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_made_of_ours_are_those_made_of_scikit_learns(name):
    got, expected = (
        REGRESSORS[name](package).fit(X_NUMBERS, Y_NUMBERS) for package in (fastmlp, neural_network)
    )
    close(got.predict(X_NUMBERS), expected.predict(X_NUMBERS))


def test_one_against_rest_and_many_outputs_learn_bit_by_bit():
    for tool, y in ((OneVsRestClassifier, Y), (MultiOutputClassifier, np.column_stack([Y, Y == 1]))):
        classes = [0, 1, 2] if y.ndim == 1 else [[0, 1, 2], [0, 1]]
        got, expected = (tool(classifier(package)) for package in (fastmlp, neural_network))
        for rows in (slice(0, 120), slice(30, 150)):
            got.partial_fit(X[rows], y[rows], classes)
            expected.partial_fit(X[rows], y[rows], classes)
        for one, other in zip(got.estimators_, expected.estimators_, strict=True):
            close(one.coefs_[0], other.coefs_[0])


SEARCHES = {
    "grid": lambda model, **options: GridSearchCV(
        model, {"alpha": [1e-4, 1.0], "activation": ["tanh", "relu"]}, cv=2, **options
    ),
    "random": lambda model, **options: RandomizedSearchCV(
        model, {"alpha": [1e-4, 1e-2, 1.0], "momentum": [0.1, 0.9]}, n_iter=4, cv=2, random_state=0, **options
    ),
}


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("name", SEARCHES)
def test_searches_find_what_scikit_learns_would(name, backend):
    import joblib  # comes with scikit-learn

    expected = SEARCHES[name](classifier(neural_network)).fit(X, Y)
    with joblib.parallel_config(backend, n_jobs=2):
        got = SEARCHES[name](classifier(fastmlp)).fit(X, Y)
    assert got.cv_results_["params"] == expected.cv_results_["params"]
    assert (got.cv_results_["mean_test_score"] == expected.cv_results_["mean_test_score"]).all()
    assert got.best_params_ == expected.best_params_
    close(got.predict_proba(X), expected.predict_proba(X))


def test_parameters_of_ours_can_be_searched():
    tried = {"dropout": [0.0, 0.2], "class_weight": [None, "balanced"], "dtype": ["float32"]}
    found = GridSearchCV(classifier(fastmlp), tried, cv=2, n_jobs=2, error_score="raise").fit(X, Y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert found.best_estimator_.coefs_[0].dtype == np.float32


def test_scores_and_predictions_across_folds():
    for n_jobs in (1, 2):
        got = cross_val_score(classifier(fastmlp), X, Y, cv=3, n_jobs=n_jobs)
        assert (got == cross_val_score(classifier(neural_network), X, Y, cv=3)).all()
    got, expected = (
        cross_val_predict(regressor(package), X_NUMBERS, Y_NUMBERS, cv=3)
        for package in (fastmlp, neural_network)
    )
    close(got, expected)


def test_importance_of_columns():
    got, expected = (
        permutation_importance(
            classifier(package).fit(X, Y), X, Y, n_repeats=3, random_state=0, n_jobs=n_jobs
        )
        for package, n_jobs in ((fastmlp, 2), (neural_network, 1))
    )
    assert (got.importances == expected.importances).all()


def test_a_learning_curve_is_drawn():
    matplotlib.use("agg")
    got, expected = (
        LearningCurveDisplay.from_estimator(
            classifier(package), X, Y, train_sizes=[0.3, 1.0], cv=3, shuffle=True, random_state=0
        )
        for package in (fastmlp, neural_network)
    )
    assert (got.test_scores == expected.test_scores).all() and (
        got.train_scores == expected.train_scores
    ).all()
    matplotlib.pyplot.close("all")


# --- threads ---------------------------------------------------------------------------------------------


def threads_of_a_fit():
    """Number of threads that a fit uses in a process of joblib's."""
    seen = []

    class Spy(fastmlp.MLPClassifier):
        def _update_no_improvement_count(self, *arguments):
            seen.append(fastmlp.get_num_threads())
            super()._update_no_improvement_count(*arguments)

    Spy(**few).fit(X, Y)
    return seen


def test_the_workers_of_joblib_share_the_processors(monkeypatch):
    import joblib

    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    share = max(1, min(machine.default_threads(), joblib.cpu_count() // 2))
    found = Parallel(n_jobs=2, backend="loky")(delayed(threads_of_a_fit)() for _ in range(2))
    assert {n for seen in found for n in seen} == {share} and len(found[0]) == 5


def test_a_worker_s_threads_may_be_chosen():
    import joblib

    asked = max(2, machine.default_threads())  # more than a share
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=asked):
        found = Parallel()(delayed(threads_of_a_fit)() for _ in range(2))
    assert {n for seen in found for n in seen} == {machine.default_threads()}
