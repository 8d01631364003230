"""scikit-learn's own checks of an estimator: all of them, with no failure that is expected."""

import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    parametrize_with_checks,
)

from fastmlp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# what scikit-learn checks its own with: few epochs
CHECKS = parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
NAMES, CASES = CHECKS.args


@pytest.mark.parametrize(
    NAMES, list(CASES), **CHECKS.kwargs
)  # old releases have a generator, which pytest warns of
def test_an_estimator_passes_the_checks(estimator, check):
    check(estimator)


# the settings by which it checks weights of its own
@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(max_iter=100, solver="lbfgs"),
        MLPRegressor(max_iter=100, solver="sgd", tol=1e-2, random_state=42),
    ],
    ids=["lbfgs", "sgd"],
)
def test_a_weight_is_a_row_repeated(estimator):
    check_sample_weight_equivalence_on_dense_data(type(estimator).__name__, estimator)
