"""scikit-learn's estimators and ours, side by side on the same data."""

import contextlib
import io
import warnings
from typing import NamedTuple

import numpy as np
from sklearn import datasets, neural_network

from fastmlp import MLPClassifier, MLPRegressor

CLASSIFIERS, REGRESSORS = ("breast_cancer", "wine", "digits", "multilabel"), ("diabetes", "linnerud")
SETS = CLASSIFIERS + REGRESSORS


def load(name, n=100):
    """Standardized rows of a data set, float64, and their labels or standardized targets."""
    if name == "multilabel":
        X, y = datasets.make_multilabel_classification(n, random_state=0)
    else:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[:n]
    X, y = X[rows], y[rows]
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0), X.std(axis=0), 1)
    return X, (y - y.mean(axis=0)) / y.std(axis=0) if name in REGRESSORS else y


def make(name, **parameters):
    """Both estimators of a data set's kind, with the same parameters: ours, scikit-learn's."""
    kind = "MLPRegressor" if name in REGRESSORS else "MLPClassifier"
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[kind]
    return ours(**parameters), getattr(neural_network, kind)(**parameters)


class Outcome(NamedTuple):
    """What a call came to."""

    value: object
    error: tuple | None  # its type and text
    warnings: list  # their types and texts, sorted
    printed: str


def outcome(call, *arguments, **keywords):
    """Call, and tell of result, error, warnings and what was printed; NumPy's own warnings are left out."""
    value, error, out = None, None, io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(out):
        warnings.simplefilter("always")
        try:
            value = call(*arguments, **keywords)
        except Exception as raised:
            error = type(raised), str(raised)
    told = [(w.category.__name__, str(w.message)) for w in caught if w.category is not RuntimeWarning]
    return Outcome(value, error, sorted(told), out.getvalue())


def quietly(call, *arguments, **keywords):
    """Call, let warnings pass, and give the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **keywords)


def numbers(values):
    """Give all numbers of an array, or of a list of arrays, as a vector."""
    if isinstance(values, list | tuple):
        return np.concatenate([np.ravel(value).astype(float) for value in values] or [np.empty(0)])
    return np.ravel(np.asarray(values, float))


def assert_close(got, expected, share, what=""):
    """Within a share of the largest element of the expected array; NaN and infinities where it has them."""
    got, expected = numbers(got), numbers(expected)
    assert got.shape == expected.shape, what
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite], err_msg=what)
    off = np.abs(got[finite] - expected[finite]).max(initial=0)
    assert off <= share * np.abs(expected[finite]).max(initial=0), f"{what}: off by {off}"


COUNTS = ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "_no_improvement_count")
NUMBERS = ("loss_", "best_loss_", "best_validation_score_", "loss_curve_", "validation_scores_")
ARRAYS = ("coefs_", "intercepts_", "_best_coefs", "_best_intercepts")
SCRATCH_OF_LBFGS = {"_coef_indptr", "_intercept_indptr"}  # where a vector has which coefficients
OF_OPTIMIZERS = ("learning_rate", "t", "ms", "vs", "velocities")


def assert_same_state(ours, theirs, share):
    """Every attribute that training leaves, those of the optimizer included."""
    own = {"validation_loss_curve_", *SCRATCH_OF_LBFGS}
    learned = [vars(it).keys() - it.get_params().keys() - own for it in (ours, theirs)]
    assert learned[0] == learned[1]
    for name in COUNTS:
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    for name in NUMBERS + ARRAYS:
        got, expected = getattr(ours, name, None), getattr(theirs, name, None)
        assert (got is None) == (expected is None), name
        if expected is not None:
            assert_close(got, expected, share, name)
    for name in ("coefs_", "intercepts_"):
        dtypes = [[array.dtype for array in getattr(it, name, ())] for it in (ours, theirs)]
        assert dtypes[0] == dtypes[1]
    if hasattr(theirs, "_optimizer"):
        assert type(ours._optimizer) is type(theirs._optimizer)
        for name in OF_OPTIMIZERS:
            # without momentum nobody keeps a velocity; scikit-learn's is the last step, and idle
            if hasattr(theirs._optimizer, name) and getattr(theirs._optimizer, "momentum", 1):
                expected = getattr(theirs._optimizer, name)
                assert_close(getattr(ours._optimizer, name), expected, share, name)
