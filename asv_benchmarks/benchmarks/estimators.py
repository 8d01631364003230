"""Estimators beside scikit-learn's: whole fits, and the probabilities of one row."""

import functools
import warnings

import sklearn.datasets
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning

import fastmlp

from ._checks import require_same_outcome
from ._timing import ratio_of
from ._workload import begin

DATA = {"digits": "load_digits", "cancer": "load_breast_cancer"}
ADAM = {"max_iter": 3}  # short beside what disturbs
LBFGS = {"solver": "lbfgs", "max_iter": 12}  # from there on its line searches make much of rounding


class Fit:
    params = [["digits adam t1", "cancer adam t1", "digits lbfgs t1"]]
    param_names = ["workload"]
    unit = "fastmlp/scikit-learn"

    def setup(self, workload):
        self.pair = fits(workload)

    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


class OneRow:
    params = [["digits adam t1"]]
    param_names = ["workload"]
    unit = "fastmlp/scikit-learn"

    def setup(self, workload):
        self.pair = predictions(workload)

    def track_time_ratio(self, workload):
        return ratio_of(self.pair)


@functools.cache
def fits(workload):
    """Fit by either library, compared with each other."""
    data, solver, threads = workload.split()
    begin(threads)
    options = LBFGS if solver == "lbfgs" else ADAM
    X, y = getattr(sklearn.datasets, DATA[data])(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0) if data == "cancer" else X
    pair = {
        name: functools.partial(quietly, classifier(**options, random_state=0).fit, X, y)
        for name, classifier in classifiers().items()
    }
    require_same_outcome(*(call() for call in pair.values()), limit=1e-5 if solver == "lbfgs" else 1e-9)
    return pair


@functools.cache
def predictions(workload):
    """Probabilities of a row by either library, compared with each other."""
    X, _ = sklearn.datasets.load_digits(return_X_y=True)
    fitted = {name: call() for name, call in fits(workload).items()}
    pair = {name: functools.partial(estimator.predict_proba, X[:1]) for name, estimator in fitted.items()}
    require_same_outcome(*(call() for call in pair.values()), limit=1e-9)
    return pair


def classifiers():
    """Classifier of either library.

    Raises
    ------
    NotImplementedError
        This commit has none, which asv notes as skipped.
    """
    if not hasattr(fastmlp, "MLPClassifier"):
        raise NotImplementedError("fastmlp has no MLPClassifier in this commit")
    return {"theirs": sklearn.neural_network.MLPClassifier, "ours": fastmlp.MLPClassifier}


def quietly(fit, X, y):
    """Fit for a few epochs without a word that they are few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(X, y)
