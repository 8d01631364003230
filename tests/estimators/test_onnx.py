import bounds
import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_linnerud,
    load_wine,
    make_multilabel_classification,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from fastmlp import MLPClassifier, MLPRegressor
from fastmlp.config import ACTIVATIONS
from fastmlp.estimators import onnx
from fastmlp.reference.activations import activation

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SLOPES = {"selu": 1.76, "silu": 1.1, "gelu": 1.13, "mish": 1.09}  # the steepest; the others' is 1
APPROXIMATE = 16  # units that an activation's own formula errs by, those of onnxruntime included


def test_without_skl2onnx_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "fastmlp\[onnx\]"'):
        onnx.register()


def run(estimator, X, of_classes=None, **options):
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    onnx.register()
    if hasattr(estimator, "predict_proba"):
        options["options"] = {"zipmap": False} | (of_classes or {})
    graph = skl2onnx.to_onnx(estimator, X[:1], **options)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})


def bound_of_outputs(estimator, X):
    """How far the last layer's numbers may lie from the estimator's in float64."""
    off, y, u = 0.0, X.astype(np.float64), bounds.unit(X.dtype)
    names = estimator.activation
    names = [names] * (estimator.n_layers_ - 2) if isinstance(names, str) else names
    for name, w, b in zip([*names, None], estimator.coefs_, estimator.intercepts_, strict=True):
        # the parameters are rounded too
        size = np.abs(y) @ np.abs(w) + np.abs(b)
        off = off @ np.abs(w) if np.ndim(off) else 0.0
        off = off + bounds.gamma(w.shape[0] + 3, X.dtype) * (size + off)
        z = y @ w + b
        if name:
            y = activation(name, z)
            off = SLOPES.get(name, 1.0) * off + APPROXIMATE * u * (np.abs(y) + np.abs(z))
    return off


def assert_classified_alike(estimator, X, **options):
    labels, p = run(estimator, X, **options)
    expected = estimator.predict_proba(X.astype(np.float64))
    off = bound_of_outputs(estimator, X).max(axis=1, keepdims=True)
    u = bounds.unit(X.dtype)
    # softmax spreads twice the error of its numbers; then it rounds
    assert p.dtype == X.dtype
    assert p.shape == expected.shape
    bounds.assert_within(p, expected, 2 * off + (expected.shape[1] + APPROXIMATE) * u)
    assert labels.tolist() == estimator.predict(X).tolist()
    return labels


X32 = scale(load_wine().data).astype(np.float32)
WINE = load_wine().target


@pytest.mark.parametrize("opset", [None, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_probabilities_of_all_activations(name, dtype, opset):
    fitted = MLPClassifier((8, 7), activation=name, max_iter=20, random_state=0)
    fitted.fit(X32.astype(np.float64), WINE)
    if (name, dtype) == ("gelu", np.float64):
        with pytest.raises(ValueError, match="gelu in float32 alone"):
            run(fitted, X32.astype(dtype))
        return
    assert_classified_alike(fitted, X32.astype(dtype), target_opset=opset)


def test_far_from_zero_too():
    for name in ("mish", "silu", "gelu", "selu"):
        fitted = MLPClassifier((8,), activation=name, max_iter=2, random_state=0)
        fitted.fit(X32.astype(np.float64), WINE)
        assert_classified_alike(fitted, np.vstack([X32 * 50, -X32 * 50]))


def test_activations_of_their_own():
    fitted = MLPClassifier((8, 7), activation=["gelu", "tanh"], max_iter=20, random_state=0)
    assert_classified_alike(fitted.fit(X32.astype(np.float64), WINE), X32)


def test_no_hidden_layer():
    fitted = MLPClassifier((), max_iter=20, random_state=0)
    assert_classified_alike(fitted.fit(X32.astype(np.float64), WINE), X32)


@pytest.mark.parametrize(
    "names",
    [["red", "white", "pink"], [-5, 0, 2**40], [1.0, 3.0, 2.0]],
    ids=["words", "integers", "floats"],
)
def test_labels(names):
    y = np.array(names)[WINE]
    fitted = MLPClassifier((8,), max_iter=20, random_state=0).fit(X32.astype(np.float64), y)
    labels = assert_classified_alike(fitted, X32)
    assert {*labels.tolist()} == {*names}


def test_numbers_in_place_of_names_and_rows_of_names():
    y = np.array(["red", "white", "pink"])[WINE]
    fitted = MLPClassifier((8,), max_iter=20, random_state=0).fit(X32.astype(np.float64), y)
    labels, _ = run(fitted, X32, {"nocl": True})
    np.testing.assert_array_equal(fitted.classes_[labels], fitted.predict(X32))
    labels, rows = run(fitted, X32, {"zipmap": True})
    assert [max(row, key=row.get) for row in rows] == labels.tolist()


@pytest.mark.parametrize("two", [["no", "yes"], [0, 1], [False, True]], ids=["words", "integers", "bools"])
def test_two_classes(two):
    X, y = load_breast_cancer(return_X_y=True)
    fitted = MLPClassifier(max_iter=10, random_state=0).fit(scale(X), np.array(two)[y])
    assert_classified_alike(fitted, scale(X).astype(np.float32))


@pytest.mark.parametrize("n", [2, 5])
def test_labels_of_their_own(n):
    X, y = make_multilabel_classification(n_classes=n, random_state=0)
    fitted = MLPClassifier(max_iter=10, random_state=0).fit(X, y)
    assert_classified_alike(fitted, X.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("load", "loss"), [(load_diabetes, "squared_error"), (load_linnerud, "squared_error")]
)
def test_numbers(load, loss, dtype):
    X, y = load(return_X_y=True)
    fitted = MLPRegressor(max_iter=20, random_state=0).fit(scale(X), y)
    X = scale(X).astype(dtype)
    (got,) = run(fitted, X)
    expected = fitted.predict(X.astype(np.float64)).reshape(len(X), -1)
    assert (got.shape, got.dtype) == (expected.shape, X.dtype)
    bounds.assert_within(got, expected, bound_of_outputs(fitted, X))


def test_counts():
    X, y = load_diabetes(return_X_y=True)
    fitted = MLPRegressor("poisson", max_iter=20, random_state=0).fit(scale(X), y // 40)
    X = scale(X).astype(np.float32)
    (got,) = run(fitted, X)
    expected = fitted.predict(X.astype(np.float64))[:, None]
    off = np.expm1(bound_of_outputs(fitted, X)) + APPROXIMATE * bounds.unit(np.float32)
    bounds.assert_within(got, expected, expected * off)


def test_in_a_pipeline_and_of_whole_numbers():
    X, y = load_wine(return_X_y=True)
    X = X.astype(np.int64)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=20, random_state=0)).fit(X, y)
    labels, p = run(pipeline, X)
    assert p.dtype == np.float32
    np.testing.assert_array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-5)  # standardised in float32


def test_what_cannot_be_is_refused():
    X = X32[:20].astype(np.float64)
    only = MLPClassifier(max_iter=2).fit(X, ["only"] * 20)
    with pytest.raises(ValueError, match="one class alone"):
        run(only, X32)
    halves = MLPClassifier(max_iter=2).fit(X, np.arange(20) % 2)
    halves.classes_ = np.array([0.0, 0.5])
    with pytest.raises(ValueError, match=r"classes_ is \[0\.  0\.5\]"):
        run(halves, X32)
