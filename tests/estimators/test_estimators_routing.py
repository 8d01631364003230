"""Metadata that tools hand on: weights, classes and evaluation sets, where they were asked for."""

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastmlp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
WEIGHTS = np.linspace(0.2, 3, len(Y))
EVAL_SET = X[::7], Y[::7]
KINDS = pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])

few = {"hidden_layer_sizes": (6,), "max_iter": 5, "learning_rate_init": 0.05, "random_state": 0}


@pytest.fixture(autouse=True)
def _routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def make(kind, package=fastmlp):
    return getattr(package, kind)(**few)


@KINDS
def test_a_fit_gets_weights_and_an_evaluation_set_through_a_pipeline(kind):
    model = make(kind).set_fit_request(sample_weight=True, eval_set=True)
    whole = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
    scaled = StandardScaler().fit(X)
    validation = scaled.transform(EVAL_SET[0]), EVAL_SET[1]
    got = whole.fit(X, Y, sample_weight=WEIGHTS, eval_set=validation)[-1]
    expected = make(kind).fit(scaled.transform(X), Y, WEIGHTS, eval_set=validation)
    assert got.loss_curve_ == expected.loss_curve_
    assert (
        got.validation_loss_curve_ == expected.validation_loss_curve_ and len(got.validation_loss_curve_) == 5
    )


@KINDS
def test_each_fold_has_its_weights_and_all_have_the_evaluation_set(kind):
    metadata = {"sample_weight": WEIGHTS, "eval_set": EVAL_SET}
    model = (
        make(kind).set_fit_request(sample_weight=True, eval_set=True).set_score_request(sample_weight=True)
    )
    got = cross_validate(model, X, Y, cv=3, params=metadata, return_estimator=True, return_indices=True)
    theirs = (
        make(kind, neural_network).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    )
    expected = cross_validate(theirs, X, Y, cv=3, params={"sample_weight": WEIGHTS})
    np.testing.assert_allclose(got["test_score"], expected["test_score"], rtol=1e-9)
    for fitted, rows in zip(got["estimator"], got["indices"]["train"], strict=True):
        alone = make(kind).fit(X[rows], Y[rows], WEIGHTS[rows], eval_set=EVAL_SET)
        assert fitted.validation_loss_curve_ == alone.validation_loss_curve_


@KINDS
def test_a_search_weighs_its_scores_where_that_was_asked_for(kind):
    scoring = get_scorer("accuracy" if kind == "MLPClassifier" else "r2")
    scores = []
    for package in (fastmlp, neural_network):
        model = make(kind, package).set_fit_request(sample_weight=False)
        scorer = scoring.set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, scoring=scorer)
        scores.append(search.fit(X, Y, sample_weight=WEIGHTS).cv_results_["mean_test_score"])
    np.testing.assert_allclose(*scores, rtol=1e-9)


def test_partial_fits_get_their_weights():
    y = np.column_stack([Y == 0, Y])
    classes = [np.array([False, True]), np.arange(3)]
    model = make("MLPClassifier").set_partial_fit_request(sample_weight=True)
    whole = MultiOutputClassifier(model).partial_fit(X, y, classes, sample_weight=WEIGHTS)
    for i in range(2):
        alone = make("MLPClassifier").partial_fit(X, y[:, i], WEIGHTS, np.unique(y[:, i]))
        assert whole.estimators_[i].loss_curve_ == alone.loss_curve_


@KINDS
def test_what_nobody_asked_for_is_refused(kind):
    for name, value in (("sample_weight", WEIGHTS), ("eval_set", EVAL_SET)):
        with pytest.raises(UnsetMetadataPassedError, match=f"{name}.*not explicitly set as requested"):
            cross_validate(make(kind), X, Y, cv=2, params={name: value}, error_score="raise")


@KINDS
def test_requests_are_those_of_scikit_learn_and_the_evaluation_set(kind):
    ours, theirs = (make(kind, package).get_metadata_routing() for package in (fastmlp, neural_network))
    for method in ("fit", "partial_fit", "score", "predict"):
        got, expected = (set(getattr(routing, method).requests) for routing in (ours, theirs))
        assert got - expected == ({"eval_set"} if method == "fit" else set()) and expected <= got
