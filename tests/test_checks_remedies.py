"""The model's door: what its errors tell to do is done to the letter, and trains what was meant."""

import re
from decimal import Decimal

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import sklearn.preprocessing
from models import ROWS, X_GOOD, Y_GOOD, bits, make_model
from numpy.lib import recfunctions  # noqa: F401

from fastmlp import DataLoader, DigitsClassifier, evaluate, fit, train_epoch

NAMES = {"np": np, "numpy": np, "pandas": pandas, "sklearn": sklearn}
WORDS = np.array(["ant", "bee", "cat"])[Y_GOOD]
DIGITS = Y_GOOD.astype(str)
RECORDS = recfunctions.unstructured_to_structured(X_GOOD)
FEW = np.array([0.0, 1.0, 2.0])

# y as it is given, and what it means
LABELS = {
    "words": (WORDS, Y_GOOD),
    "words in a list": (WORDS.tolist(), Y_GOOD),
    "words as objects": (WORDS.astype(object), Y_GOOD),
    "bytes": (WORDS.astype("S"), Y_GOOD),
    "strings of NumPy's new kind": (WORDS.astype(np.dtypes.StringDType()), Y_GOOD),
    "a column of words": (WORDS[:, None], Y_GOOD),
    "a series of words": (pandas.Series(WORDS), Y_GOOD),
    "a category": (pandas.Series(WORDS, dtype="category"), Y_GOOD),
    "a frame of words": (pandas.DataFrame({"y": WORDS}), Y_GOOD),
    "words of polars": (polars.Series(WORDS), Y_GOOD),
    "a frame of words of polars": (polars.DataFrame({"y": WORDS}), Y_GOOD),
    "words among numbers": (pandas.Series([1, "b", 1, "c"]), np.array([0, 1, 0, 2])),
    "digits": (DIGITS, Y_GOOD),
    "a series of digits": (pandas.Series(DIGITS), Y_GOOD),
    "object integers": (Y_GOOD.astype(object), Y_GOOD),
    "decimals": ([Decimal(int(label)) for label in Y_GOOD], Y_GOOD),
    "floats": (Y_GOOD.astype(float), Y_GOOD),
    "a list of floats": (Y_GOOD.astype(float).tolist(), Y_GOOD),
    "a column": (Y_GOOD[:, None], Y_GOOD),
    "a list of rows of one": (Y_GOOD[:, None].tolist(), Y_GOOD),
    "a column of floats": (Y_GOOD[:, None].astype(np.float16), Y_GOOD),
    "a frame": (pandas.DataFrame({"y": Y_GOOD}), Y_GOOD),
    "a frame of floats": (pandas.DataFrame({"y": Y_GOOD.astype(float)}), Y_GOOD),
    "a frame of Int64": (pandas.DataFrame({"y": Y_GOOD}, dtype="Int64"), Y_GOOD),
    "a frame of polars": (polars.DataFrame({"y": Y_GOOD}), Y_GOOD),
    "a generator": (lambda: (int(label) for label in Y_GOOD), Y_GOOD),
    "a map": (lambda: map(int, Y_GOOD), Y_GOOD),
    "sparse rows": (scipy.sparse.csr_array(ROWS), ROWS),
    "labels from 1": (Y_GOOD + 1, Y_GOOD),
    "floats from 1": (Y_GOOD + 1.0, Y_GOOD),
    "a column from -1": ((Y_GOOD - 1)[:, None].tolist(), Y_GOOD),
    "tens in a series": (pandas.Series(10 * Y_GOOD), Y_GOOD),
}
SAMPLES = {
    "digits": (X_GOOD.round().astype(int).astype(str), X_GOOD.round()),
    "numbers in words": (X_GOOD.astype(str), X_GOOD),
    "objects": (X_GOOD.astype(object), X_GOOD),
    "integer objects": (X_GOOD.round().astype(int).astype(object), X_GOOD.round()),
    "a frame of objects": (pandas.DataFrame(X_GOOD).astype(object), X_GOOD),
    "complex": (X_GOOD.astype(complex), X_GOOD),
    "dates": (X_GOOD.round().astype("M8[s]"), X_GOOD.round()),
    "records": (RECORDS, X_GOOD),
    "a sparse matrix": (scipy.sparse.csr_matrix(X_GOOD), X_GOOD),
    "a sparse array": (scipy.sparse.coo_array(X_GOOD), X_GOOD),
    "a generator": (lambda: (row for row in X_GOOD), X_GOOD),
    "a lazy frame": (polars.LazyFrame(X_GOOD), X_GOOD),
    "columns by name": (dict(enumerate(X_GOOD.T)), X_GOOD),
    "a series of rows": (pandas.Series(list(X_GOOD)), X_GOOD),
    "images": (X_GOOD.reshape(4, 2, 3), X_GOOD),
    "images in a list": (X_GOOD.reshape(4, 3, 2).tolist(), X_GOOD),
    "words": (np.repeat(WORDS[:, None], 2, axis=1), np.tile(ROWS, 2)),
    "a frame of words": (pandas.DataFrame({"a": WORDS, "b": WORDS}), np.tile(ROWS, 2)),
    "a frame of words and numbers": (
        pandas.DataFrame({"a": 0.5, "b": True, "c": 2, "w": WORDS}),
        np.hstack([[[0.5, 1, 2]] * 4, ROWS]),
    ),
}
GIVEN = {f"y: {name}": (X_GOOD, *given) for name, given in LABELS.items()}
GIVEN |= {f"X: {name}": (X, Y_GOOD, expected) for name, (X, expected) in SAMPLES.items()}


def follow(said, given):
    """Run the code in an error's text, on what was given."""
    code = re.search(r"; try (.*?)(, a model whose last width is len\(classes\), with .*)?$", said)
    name = re.search(r"\b[Xy]\b", code[1])[0]
    code = code[1] if " = " in code[1] else f"{name} = {code[1]}"
    exec(code, NAMES, given)
    return given


@pytest.mark.parametrize(("X", "y", "expected"), GIVEN.values(), ids=GIVEN)
def test_what_an_error_tells_to_try_trains_what_was_meant(ops, X, y, expected):
    X, y = X() if callable(X) else X, y() if callable(y) else y
    model, twin = make_model(ops), make_model(ops)
    with pytest.raises(ValueError, match="; try ") as caught:
        train_epoch(model, X, y, lr=0.1, shuffle=False)
    given = follow(str(caught.value), {"X": X, "y": y})
    if "classes" in given:
        assert len(given["classes"]) == 3
        model = make_model(ops, class_names=given["classes"])
        assert model.class_names == tuple(given["classes"])
        named = given["classes"][given["y"]]
        words = np.ravel(np.asarray(y)).tolist()
        assert named.tolist() == [word.decode() if isinstance(word, bytes) else str(word) for word in words]
        later = re.search("for its other data (.*)$", str(caught.value))[1]
        assert eval(later, NAMES, {**given, "y": y}).tolist() == given["y"].tolist()
    train_epoch(model, given["X"], given["y"], lr=0.1, shuffle=False)
    is_label = np.ndim(expected) == 1 or expected is ROWS
    train_epoch(twin, *((X_GOOD, expected) if is_label else (expected, Y_GOOD)), lr=0.1, shuffle=False)
    assert bits(model) == bits(twin)


def test_more_labels_than_classes_want_as_many_as_are_said(ops):
    with pytest.raises(ValueError, match=r"y has the label -5.*; try (.*) and 4 classes$") as caught:
        train_epoch(make_model(ops), X_GOOD, [0, 2, -5, 9])
    exec(re.search("; try (.*) and 4", str(caught.value))[1], NAMES, given := {"y": [0, 2, -5, 9]})
    assert given["y"].tolist() == [1, 2, 0, 3]
    train_epoch(make_model(ops, (6, 4)), X_GOOD, given["y"])


@pytest.mark.parametrize("y", [Y_GOOD > 0, (Y_GOOD > 0)[:, None], (Y_GOOD > 0).astype(float)])
def test_one_output_for_two_classes_is_logistic_or_two(ops, y):
    with pytest.raises(
        ValueError, match="two classes want output='logistic', or two outputs and labels 0 and 1"
    ):
        train_epoch(make_model(ops, (6, 1)), X_GOOD, y)
    train_epoch(make_model(ops, (6, 1), output="logistic"), X_GOOD, y)
    train_epoch(make_model(ops, (6, 2)), X_GOOD, np.ravel(y).astype(int))
    signs = np.where(y, 1, -1)
    model, twin = (make_model(ops, (6, 1), output="logistic") for _ in range(2))
    with pytest.raises(ValueError, match=r"\] is .*-1.*, expected .*; try") as caught:
        train_epoch(model, X_GOOD, signs)
    train_epoch(model, X_GOOD, follow(str(caught.value), {"y": signs})["y"], shuffle=False)
    train_epoch(twin, X_GOOD, y, shuffle=False)
    assert bits(model) == bits(twin)


@pytest.mark.parametrize(
    ("y", "said", "output"),
    [
        (
            np.ones((4, 3)),
            r"y\[0\] sums to 3.0, expected 1; several labels a row want output='logistic'",
            "logistic",
        ),
        (0 * ROWS, r"y\[0\] sums to 0.0, expected 1; .* or have output='logistic'", "logistic"),
        (2.5 * ROWS, "numbers to be predicted want output='identity'", "identity"),
        (0.5 + Y_GOOD[:, None], "numbers to be predicted want output='identity'", None),
    ],
)
def test_rows_that_are_no_shares_want_another_output(ops, y, said, output):
    if output is None:
        with pytest.raises(ValueError, match=said):
            train_epoch(make_model(ops, (6, 1)), X_GOOD, y)
        train_epoch(make_model(ops, (6, 1), output="identity"), X_GOOD, y)
        return
    with pytest.raises(ValueError, match=said):
        train_epoch(make_model(ops), X_GOOD, y)
    train_epoch(make_model(ops, output=output), X_GOOD, y)


def test_exclusive_classes_of_logistic_outputs_want_softmax(ops):
    for n_out in (1, 3):
        with pytest.raises(ValueError, match="; classes that exclude each other want output='softmax'$"):
            train_epoch(make_model(ops, (6, n_out), output="logistic"), X_GOOD, [0, 1, 2, 0])
    train_epoch(make_model(ops, output="softmax"), X_GOOD, [0, 1, 2, 0])


def test_shares_are_divided_by_their_sum(ops):
    for dtype in (np.float16, np.float32, np.float64):
        y = (ROWS + [[0.3, 0.1, 0.2]]).astype(dtype) / dtype(2)
        with pytest.raises(ValueError, match="expected 1; divide each row by its sum$"):
            train_epoch(make_model(ops), X_GOOD, y)
        train_epoch(make_model(ops), X_GOOD, y / y.sum(axis=1, keepdims=True))


# --- data frames -----------------------------------------------------------------------------------------

MISSING = {
    "Int64": (
        pandas.DataFrame({"a": pandas.array([1, None, 3], "Int64")}),
        r"X\[1, 0\] is <NA>, a missing|X has NaN",
    ),
    "boolean": (pandas.DataFrame({"a": pandas.array([None, True], "boolean")}), r"X\[0, 0\] is <NA>"),
    "with words": (pandas.DataFrame({"a": ["b", None], "b": 1}), r"X\[1, 0\] is (None|nan), a missing"),
    "dates": (np.array([["2020-01-01"], ["NaT"]], "M8[s]"), r"X\[1, 0\] is NaT, a missing"),
    "with floats": (
        pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": 0.5}),
        "<NA>, a missing|X has NaN",
    ),
    "polars": (polars.DataFrame({"a": [True, None], "b": [1, 2]}), r"X\[1, 0\] is None, a missing"),
    "a list": ([[1, 2], [None, 2]], r"X\[1, 0\] is None, a missing"),
}


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1, 2, 3, 4], "b": [0.5, 1.5, 2.5, 3.5], "c": [True, False, True, True]},
        {name: pandas.array([1, 2, 3, 0], "Int64") for name in "abc"},
        {name: pandas.array([1, 0, 1, 0], "boolean") for name in "abc"},
        {"a": pandas.array([1, 2, 3, 4], "UInt8"), "b": pandas.array([0.5, 1, 2, 3], "Float32"), "c": True},
        {
            "a": pandas.array([1, 2, 3, 4], "Int64"),
            "b": [1, 2, 3, 4],
            "c": pandas.array([True] * 4, "boolean"),
        },
    ],
    ids=["mixed", "Int64", "boolean", "narrow", "nullable and not"],
)
def test_frames_of_numbers_and_booleans_are_taken(ops, columns):
    X = pandas.DataFrame(columns)
    expected = np.column_stack([X[name].to_numpy(dtype=float) for name in X])
    models = [make_model(ops, (3, 4, 3)) for _ in range(2)]
    for model, given in zip(models, (X, expected), strict=True):
        train_epoch(model, given, pandas.Series(Y_GOOD, dtype="Int64"), lr=0.1, shuffle=False)
    for before, after in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(models[0].predict_proba(X), models[0].predict_proba(expected))
    assert evaluate(models[0], X, pandas.Series(Y_GOOD)) == evaluate(models[0], expected, Y_GOOD)


@pytest.mark.parametrize("name", MISSING)
def test_missing_values_are_named(ops, name):
    X, said = MISSING[name]
    model = make_model(ops, (np.shape(X)[1], 3))
    with pytest.raises(ValueError, match=said):
        model.predict(X)
    if name not in ("with words", "dates"):  # without the rows
        model.predict(
            X.dropna() if hasattr(X, "dropna") else X.drop_nulls() if hasattr(X, "columns") else X[:1]
        )


# --- one image -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (6, 1), (1, 6), (1, 2, 3), (6,)])
def test_an_array_of_the_models_image_shape_is_one_sample(ops, shape):
    model, image = make_model(ops, image_shape=shape), X_GOOD[0].reshape(shape)
    for method in (model.logits, model.predict, model.predict_proba):
        for one in (image, image.tolist(), np.asfortranarray(image)):
            np.testing.assert_array_equal(method(one), method(X_GOOD[:1]))
    assert len(model.predict(X_GOOD)) == 4


def test_an_image_of_a_model_that_has_none_is_told_to_be_a_row(ops):
    for model in (make_model(ops), make_model(ops, image_shape=(3, 2))):
        with pytest.raises(ValueError, match=r"X has shape \(2, 3\), .*for one sample: np.reshape") as caught:
            model.predict(image := X_GOOD[0].reshape(2, 3).tolist())
        row = eval(str(caught.value).split("for one sample: ")[1], NAMES, {"X": image})
        np.testing.assert_array_equal(model.logits(row), model.logits(X_GOOD[:1]))


def test_a_digit_is_one_sample():
    assert DigitsClassifier(seed=0).predict(np.zeros((28, 28), np.uint8)).shape == (1,)


# --- flags -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["no", 1, None])
def test_what_is_no_flag_is_refused(ops, value):
    for train in (train_epoch, fit):
        with pytest.raises(ValueError, match=f"shuffle is {value!r}, expected True or False"):
            train(make_model(ops), X_GOOD, Y_GOOD, shuffle=value)
        train(make_model(ops), X_GOOD, Y_GOOD, shuffle=np.False_)
    with pytest.raises(ValueError, match=f"drop_last is {value!r}, expected True or False"):
        DataLoader(X_GOOD, Y_GOOD, 2, drop_last=value)
