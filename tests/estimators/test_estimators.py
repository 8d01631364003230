"""The package: two classes that the first use of a name imports."""

from trees import python

LAZY = """
import sys
import fastmlp

assert not {"sklearn", "scipy.optimize"} & {*sys.modules}
assert {"MLPClassifier", "MLPRegressor"} <= {*dir(fastmlp)} and {*fastmlp.__all__} <= {*dir(fastmlp)}
assert "sklearn" not in sys.modules
from fastmlp import MLPClassifier, estimators

assert fastmlp.MLPClassifier is MLPClassifier is estimators.MLPClassifier
assert fastmlp.MLPRegressor is estimators.MLPRegressor and "sklearn" in sys.modules
assert not hasattr(fastmlp, "MLPTransformer")
from fastmlp import *

assert MLPRegressor is estimators.MLPRegressor
"""


def test_the_estimators_are_imported_on_first_use():
    child = python("-c", LAZY)
    assert child.returncode == 0, child.stderr
