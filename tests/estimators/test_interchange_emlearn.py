import shutil

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.preprocessing import scale

from fastmlp import MLPClassifier, MLPRegressor

try:
    with np.errstate():  # it has NumPy raise where a number underflows
        import emlearn
except ImportError:  # not skipped as a whole, which would count among the slow tests too
    emlearn = None
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(emlearn is None, reason="emlearn is not installed"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="emlearn compiles C"),
]
WRITTEN = 1e-4  # parameters are written to C with six decimals


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it builds in a folder there


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_it_takes_classifiers_as_they_are(load, activation):
    X, y = load(return_X_y=True)
    X = scale(X)
    fitted = MLPClassifier((8, 6), activation=activation, max_iter=20, random_state=0).fit(X, y)
    written = emlearn.convert(fitted)
    np.testing.assert_allclose(written.predict_proba(X), fitted.predict_proba(X), atol=WRITTEN)
    np.testing.assert_array_equal(written.predict(X), fitted.predict(X))
    assert "eml_net_predict" in written.save(name="digits")


def test_it_takes_regressors_as_they_are():
    X, y = load_diabetes(return_X_y=True)
    fitted = MLPRegressor(max_iter=50, random_state=0).fit(scale(X), scale(y))
    written = emlearn.convert(fitted, return_type="regressor")
    np.testing.assert_allclose(written.predict(scale(X)), fitted.predict(scale(X)), atol=WRITTEN)


def test_activations_in_a_list_go_by_way_of_scikit_learn():
    X, y = load_wine(return_X_y=True)
    fitted = MLPClassifier((8, 6), activation=["tanh", "tanh"], max_iter=5, random_state=0).fit(scale(X), y)
    written = emlearn.convert(fitted.to_sklearn())
    np.testing.assert_allclose(written.predict_proba(scale(X)), fitted.predict_proba(scale(X)), atol=WRITTEN)
