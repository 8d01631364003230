import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_linnerud,
    load_wine,
    make_multilabel_classification,
)
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale

from fastmlp import MLP, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(load):
    X, y = load(return_X_y=True)
    return scale(X), y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", [{}, {"activation": ["gelu", "tanh"]}, {"solver": "lbfgs"}, {"ema": 0.9}])
def test_probabilities_of_classes_have_the_same_bits_in_a_file_too(params, dtype, tmp_path):
    X, y = data(load_wine)
    X = X.astype(dtype)
    fitted = MLPClassifier((6, 5), max_iter=5, random_state=0, **params).fit(X, y)
    if params.get("solver") == "lbfgs" and dtype == np.float32:
        X = X.astype(np.float64)  # scikit-learn's parameters become that of SciPy
    model = fitted.network_
    model.save(tmp_path / "model.safetensors")
    for network in (model, MLP.load(tmp_path / "model.safetensors")):
        assert network.class_names == ("0", "1", "2")
        assert network.dtype == X.dtype
        np.testing.assert_array_equal(network.predict_proba(X), fitted.predict_proba(X))
        np.testing.assert_array_equal(network.predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    ("problem", "names"),
    [(data(load_breast_cancer), ("0", "1")), (make_multilabel_classification(random_state=0), None)],
    ids=["two classes", "labels"],
)
def test_numbers_of_logistic_units_have_the_same_bits(problem, names):
    X, y = problem
    fitted = MLPClassifier((6,), max_iter=5, random_state=0).fit(X, y)
    model = fitted.network_
    assert model.class_names == names
    z, p = expit(model.logits(X)), fitted.predict_proba(X)
    np.testing.assert_array_equal(z, p[:, 1:] if names else p)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    np.testing.assert_allclose(model.predict_proba(X), p, rtol=0, atol=2 * np.finfo(float).eps)  # its own exp


@pytest.mark.parametrize("load", [load_diabetes, load_linnerud], ids=["a target", "targets"])
def test_numbers_have_the_same_bits(load):
    X, y = data(load)
    fitted = MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0).fit(X, y)
    np.testing.assert_array_equal(fitted.network_.predict(X), fitted.predict(X))
    counts = MLPRegressor("poisson", (6,), max_iter=5, random_state=0).fit(X, np.abs(y) // 40)
    assert counts.network_.output == "exp"
    np.testing.assert_array_equal(counts.network_.predict(X), counts.predict(X))


def test_it_is_made_of_the_present_coefficients():
    X, y = data(load_wine)
    fitted = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    before = fitted.network_
    fitted.coefs_[0][:] = 0
    fitted.intercepts_ = [b + 1 for b in fitted.intercepts_]
    np.testing.assert_array_equal(fitted.network_.predict_proba(X), fitted.predict_proba(X))
    assert np.abs(before.predict_proba(X) - fitted.predict_proba(X)).max() > 0.01


def test_a_data_set_of_one_class():
    X = data(load_wine)[0][:20]
    fitted = MLPClassifier(max_iter=2, random_state=0).fit(X, ["only"] * 20)
    assert fitted.network_.class_names is None
    assert fitted.network_.output == "logistic"


def test_there_is_none_before_a_fit():
    with pytest.raises(NotFittedError):
        _ = MLPClassifier().network_
