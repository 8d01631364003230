"""The model's door: what is refused, with what words, and that it changes nothing."""

import re

import numpy as np
import pytest
from models import ROWS, TRAINING, X_GOOD, Y_GOOD, bits, make_model

from fastmlp import DataLoader, evaluate, fit, kernels, train_epoch

# --- the door --------------------------------------------------------------------------------------------


def with_value(array, value, dtype=np.float64):
    changed = array.astype(dtype)
    changed[2, 1] = value
    return changed


BAD_X = {
    "narrow": (X_GOOD[:, :5], "X has 5 features a row, expected 6"),
    "wide": (np.hstack([X_GOOD, X_GOOD]), "X has 12 features a row, expected 6"),
    "images": (X_GOOD.reshape(4, 2, 3), "np.reshape(X, (4, 6))"),
    "NaN": (with_value(X_GOOD, np.nan, np.float32), "NaN or infinite"),
    "infinite": (with_value(X_GOOD, -np.inf), "NaN or infinite"),
    "beyond float32": (with_value(X_GOOD, 1e39), "X reaches 1e+39, which is infinite in float32"),
    "beyond -float32": (with_value(X_GOOD, -1e39), "X reaches 1e+39, which is infinite in float32"),
    "strings": (X_GOOD.astype(str), "expected real numbers"),
    "complex": (X_GOOD.astype(complex), "expected real numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], "equal length"),
    "a number": (np.float32(3), "X is the single number 3.0"),
}
BAD_Y = {
    "label too large": (np.array([0, 1, 2, 3]), "y has the label 3, expected 0 to 2"),
    "label below 0": (np.array([0, 1, -1, 2]), "y has the label -1, expected 0 to 2"),
    "column": (Y_GOOD[:, None], "np.ravel(y)"),
    "floats": (Y_GOOD.astype(float), "np.ravel(y).astype(int)"),
    "too few": (Y_GOOD[:3], "y has 3 labels, expected 4"),
    "too many columns": (np.eye(4)[Y_GOOD], "y has 4 columns, expected 3"),
    "three dimensions": (ROWS[None], "expected (n,) integers or (n, n_classes) rows"),
    "sums to 2": (2 * ROWS, "none below 0 or above 1"),
    "sums to less": (ROWS * 0.9, "sums to 0.9"),
    "negative share": (ROWS + [[-0.5, 0.5, 0]], "none below 0"),
    "NaN share": (with_value(ROWS, np.nan), "expected finite numbers"),
    "strings": (Y_GOOD.astype(str), "y has dtype"),
}
BAD_DATA = {f"X {name}": (X, Y_GOOD, said) for name, (X, said) in BAD_X.items()}
BAD_DATA |= {f"y {name}": (X_GOOD, y, said) for name, (y, said) in BAD_Y.items()}


@pytest.mark.parametrize("train", TRAINING.values(), ids=TRAINING)
@pytest.mark.parametrize(("X", "y", "said"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused_and_changes_nothing(ops, train, X, y, said):
    model = make_model(ops)
    before = bits(model)
    with pytest.raises(ValueError, match=re.escape(said)):
        train(model, X, y)
    assert bits(model) == before
    model.forward(X_GOOD, Y_GOOD)


@pytest.mark.parametrize(("X", "said"), BAD_X.values(), ids=BAD_X)
def test_bad_inputs_are_refused_in_inference(ops, X, said):
    for method in ("logits", "predict", "predict_proba"):
        with pytest.raises(ValueError, match=re.escape(said)):
            getattr(make_model(ops), method)(X)


@pytest.mark.parametrize("train", TRAINING.values(), ids=TRAINING)
def test_inputs_that_the_scale_makes_infinite_are_refused(ops, train):
    model = make_model(ops, scale=1e30)
    with pytest.raises(ValueError, match=re.escape("X reaches 1e+10, which is infinite in float32 times")):
        train(model, with_value(X_GOOD, 1e10), Y_GOOD)
    with pytest.raises(ValueError, match="times the scale 1e.*; use a smaller scale or dtype=np.float64$"):
        model.predict(with_value(X_GOOD, 1e10))
    make_model(ops, scale=1e30, dtype=np.float64).predict(with_value(X_GOOD, 1e10))
    make_model(ops, scale=1e20).predict(with_value(X_GOOD, 1e10))


@pytest.mark.parametrize(
    ("dtype", "scale", "largest", "remedy"),
    [
        (np.float32, 1e-30, 1e39, "dtype=np.float64"),  # no scale makes a float32 of it
        (np.float32, 1e30, 1e300, "dtype=np.float64 and a smaller scale"),
        (np.float64, 1e200, 1e200, "a smaller scale"),
    ],
)
def test_what_is_to_be_used_for_large_inputs_helps(ops, dtype, scale, largest, remedy):
    X = with_value(X_GOOD, largest)
    with pytest.raises(ValueError, match=f"; use {re.escape(remedy)}$"):
        make_model(ops, dtype=dtype, scale=scale).predict(X)
    wider, smaller = "float64" in remedy, 1e-30 if "smaller" in remedy else scale
    make_model(ops, dtype=np.float64 if wider else dtype, scale=smaller).logits(X)


def test_logits_that_are_not_finite_name_no_class(ops):
    model = make_model(ops)
    w, *others = model.get_weights()
    model.set_weights([np.ones_like(w), *others])  # six times 3e38 is infinite
    X = np.where(np.arange(4)[:, None] == 2, np.float32(3e38), X_GOOD.astype(np.float32))
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isfinite(model.logits(X)).all(axis=1).tolist() == [True, True, False, True]
        for method in (model.predict, model.predict_proba, lambda X: evaluate(model, X, Y_GOOD)):
            with pytest.raises(FloatingPointError, match="the logits of row 2 of X are not finite"):
                method(X)


@pytest.mark.parametrize("train", TRAINING.values(), ids=TRAINING)
def test_an_empty_batch_is_refused(ops, train):
    with pytest.raises(ValueError, match="at least one"):
        train(make_model(ops), X_GOOD[:0], Y_GOOD[:0])


# --- masked arrays ---------------------------------------------------------------------------------------


def mask(array, i=2):
    """The array with an element of row i masked."""
    masked = np.ma.array(array)
    masked[(i,) if masked.ndim == 1 else (i, 1)] = np.ma.masked
    return masked


MASKED_X = {
    "array": (mask(X_GOOD), "X has masked elements"),
    "bytes": (mask(X_GOOD.astype(np.uint8)), "X has masked elements"),
    "rows": ([*X_GOOD[:2], mask(X_GOOD)[2], X_GOOD[3]], "X[2] has masked elements"),
    "tuple": (tuple(mask(X_GOOD)), "X[2] has masked elements"),
    "a number": ([[1.0] * 6, [1.0] * 5 + [np.ma.masked]], "X[1][5] has masked elements"),
}
MASKED_Y = {
    "labels": (mask(Y_GOOD), "y has masked elements"),
    "rows": (mask(ROWS), "y has masked elements"),
    "list of rows": (list(mask(ROWS)), "y[2] has masked elements"),
    "a number": ([0, 1, np.ma.masked, 1], "y[2] has masked elements"),
}
MASKED = {f"X {name}": (X, Y_GOOD, said) for name, (X, said) in MASKED_X.items()}
MASKED |= {f"y {name}": (X_GOOD, y, said) for name, (y, said) in MASKED_Y.items()}


@pytest.mark.parametrize("train", TRAINING.values(), ids=TRAINING)
@pytest.mark.parametrize(("X", "y", "said"), MASKED.values(), ids=MASKED)
def test_masked_elements_are_refused(ops, train, X, y, said):
    model = make_model(ops)
    before = bits(model)
    with pytest.raises(ValueError, match=re.escape(said)):
        train(model, X, y)
    assert bits(model) == before


@pytest.mark.parametrize(("X", "said"), MASKED_X.values(), ids=MASKED_X)
def test_masked_elements_are_refused_in_inference(ops, X, said):
    model = make_model(ops)
    for method in (model.logits, model.predict, model.predict_proba, lambda X: evaluate(model, X, Y_GOOD)):
        with pytest.raises(ValueError, match=re.escape(said)):
            method(X)
    with pytest.raises(ValueError, match="X has masked elements"):
        model.predict(mask(X_GOOD)[2])  # a single sample


@pytest.mark.parametrize(("X", "y", "said"), MASKED.values(), ids=MASKED)
def test_masked_validation_data_are_refused(ops, X, y, said):
    with pytest.raises(ValueError, match=re.escape(f"validation_data: {said}")):
        fit(make_model(ops), X_GOOD, Y_GOOD, epochs=1, validation_data=(X, y))


def test_the_remedies_for_masked_elements_work(ops):
    filled, some = make_model(ops), make_model(ops)
    X, y = mask(X_GOOD), mask(Y_GOOD, 1)
    with pytest.raises(ValueError, match=re.escape("leave out the rows that hold them, or fill them")):
        filled.forward(X, Y_GOOD)
    filled.forward(X.filled(0), Y_GOOD)
    filled.predict([row.filled(0) for row in X])
    whole = ~(np.ma.getmaskarray(X).any(axis=1) | np.ma.getmaskarray(y))
    assert whole.tolist() == [True, False, False, True]
    some.forward(X[whole], y[whole])  # masked arrays still, without masked elements


def test_masked_arrays_without_masked_elements_are_taken(ops):
    models = [make_model(ops), make_model(ops)]
    given = [(X_GOOD, Y_GOOD), (np.ma.array(X_GOOD), np.ma.array(Y_GOOD, mask=[False] * 4))]
    for model, (X, y) in zip(models, given, strict=True):
        train_epoch(model, X, y, lr=0.1, shuffle=False)
        model.set_weights([np.ma.array(w) for w in model.get_weights()])
    assert bits(models[0]) == bits(models[1])
    for X in (np.ma.array(X_GOOD), list(np.ma.array(X_GOOD))):
        np.testing.assert_array_equal(models[0].logits(X), models[0].logits(X_GOOD))


# --- learning rates --------------------------------------------------------------------------------------

MASKED_LR = np.ma.array(0.1, mask=True)
BAD_LR = [
    -1,
    np.nan,
    np.inf,
    -np.inf,
    1e60,
    "a",
    "0.1",
    True,
    np.True_,
    [0.1, 0.2],
    [[1], 2],
    10**400,
    MASKED_LR,
]


@pytest.mark.parametrize("lr", BAD_LR, ids=str)
def test_bad_learning_rates_are_refused_and_change_nothing(ops, lr):
    model = make_model(ops)
    before = bits(model)
    model.forward(X_GOOD, Y_GOOD)
    model.backward()
    with pytest.raises(ValueError, match="(?s)lr (is .*, expected a .*number from 0 up|has shape)"):
        model.step(lr)
    with pytest.raises(ValueError, match="(?s)lr (is .*, expected a .*number from 0 up|has shape)"):
        train_epoch(model, X_GOOD, Y_GOOD, lr=lr)
    assert bits(model) == before
    make_model(ops, dtype=np.float64).run_epoch(DataLoader(X_GOOD, Y_GOOD), np.arange(4), 1e-60, np.zeros(1))


# --- the order of an epoch, and the place for its losses -------------------------------------------------


def strided(array):
    """The same values, in every second element of a larger array."""
    wide = np.zeros(2 * len(array), array.dtype)
    wide[::2] = array
    return wide[::2]


def unaligned(array):
    return np.frombuffer(bytearray(b"?" + array.tobytes()), np.uint8)[1:].view(array.dtype)


def read_only(array):
    array.flags.writeable = False
    return array


ORDER = np.array([3, 0, 2])
BAD_ORDERS = {
    "n": (np.array([0, 4, 1]), "order has the sample 4, expected rows of X: 0 to 3"),
    "far": (np.array([0, 10**15]), "order has the sample 1000000000000000"),
    "below 0": (np.array([0, -1]), "order has the sample -1"),
    "empty": (
        np.zeros(0, np.int64),
        "order is int64 of shape (0,), expected int64 of shape (n_samples,)",
    ),
    "int32": (ORDER.astype(np.int32), "order is int32 of shape (3,)"),
    "uint64": (ORDER.astype(np.uint64), "order is uint64 of shape (3,)"),
    "floats": (ORDER.astype(float), "order is float64 of shape (3,)"),
    "other bytes": (ORDER.astype(">i8"), "order is >i8 of shape (3,)"),
    "three dimensions": (ORDER[None, None], "order is int64 of shape (1, 1, 3)"),
    "no epochs": (np.zeros((0, 3), np.int64), "order is int64 of shape (0, 3)"),
    "unaligned": (unaligned(ORDER), "order is unaligned int64 of shape (3,)"),
    "masked": (np.ma.array(ORDER, mask=[0, 1, 0]), "order has masked elements"),
    "a list": ([3, 0, 2], "order is of type list"),
    "None": (None, "order is of type NoneType"),
}
BAD_LOSSES = {
    "long": (np.zeros(3), "losses is float64 of shape (3,), expected writable float64 of shape (2,)"),
    "short": (np.zeros(1), "losses is float64 of shape (1,)"),
    "empty": (np.zeros(0), "losses is float64 of shape (0,)"),
    "float32": (np.zeros(2, np.float32), "losses is float32 of shape (2,)"),
    "other bytes": (np.zeros(2, ">f8"), "losses is >f8 of shape (2,)"),
    "two dimensions": (np.zeros((2, 1)), "losses is float64 of shape (2, 1)"),
    "read-only": (read_only(np.zeros(2)), "losses is read-only float64 of shape (2,)"),
    "unaligned": (unaligned(np.zeros(2)), "losses is unaligned float64 of shape (2,)"),
    "a list": ([0.0, 0.0], "losses is of type list"),
    "the order": (ORDER[:2].view(np.float64), "losses shares memory with order"),
}
BAD_EPOCHS = {f"order {name}": (order, np.zeros(2), said) for name, (order, said) in BAD_ORDERS.items()}
BAD_EPOCHS |= {f"losses {name}": (ORDER, losses, said) for name, (losses, said) in BAD_LOSSES.items()}


@pytest.mark.parametrize(("order", "losses", "said"), BAD_EPOCHS.values(), ids=BAD_EPOCHS)
def test_bad_orders_and_losses_are_refused_and_change_nothing(ops, order, losses, said):
    model, loader = make_model(ops), DataLoader(X_GOOD, Y_GOOD, 2)
    before = bits(model), ORDER.tolist()
    with pytest.raises(ValueError, match=re.escape(said)):
        model.run_epoch(loader, order, 0.1, losses)
    assert (bits(model), ORDER.tolist()) == before


def test_any_layout_of_orders_and_losses_is_taken(ops):
    models = [make_model(ops) for _ in range(3)]
    loader, losses = DataLoader(X_GOOD, Y_GOOD, 2), np.zeros((3, 2))
    assert models[0].run_epoch(loader, ORDER, 0.1, losses[0]) == 2
    places = strided(losses[1])
    models[1].run_epoch(loader, strided(ORDER), 0.1, places)
    models[2].run_epoch(loader, read_only(ORDER[::-1].copy())[::-1], 0.1, losses[2][::-1])
    assert losses[0].tolist() == places.tolist() == losses[2][::-1].tolist()
    assert bits(models[0]) == bits(models[1]) == bits(models[2])


def test_what_is_no_loader_is_refused(ops):
    with pytest.raises(ValueError, match="loader is of type ndarray, expected a DataLoader"):
        make_model(ops).run_epoch(X_GOOD, ORDER, 0.1, np.zeros(1))


# --- weights and configurations --------------------------------------------------------------------------

BAD_WEIGHTS = {
    "too few": (lambda w: w[:-1], "3 arrays of weights, expected 4"),
    "too many": (lambda w: [*w, w[0]], "5 arrays of weights, expected 4"),
    "transposed": (lambda w: [w[0].T, *w[1:]], "weights[0] has shape (5, 6), expected (6, 5)"),
    "column": (lambda w: [*w[:3], w[3][:, None]], "weights[3] has shape (3, 1), expected (3,)"),
    "NaN": (lambda w: [w[0], w[1] * np.nan, *w[2:]], "weights[1] has NaN or infinite"),
    "infinite": (lambda w: [*w[:3], [0, np.inf, 0]], "weights[3] has NaN or infinite"),
    "beyond float32": (lambda w: [*w[:3], [0, 1e39, 0]], "infinite elements in float32"),
    "a number": (lambda w: 3, "weights is 3, expected 4 arrays: [W1, b1"),
    "strings": (lambda w: [*w[:3], ["a", "b", "c"]], "weights[3] has dtype <U1, expected real"),
    "complex": (lambda w: [*w[:3], np.zeros(3, complex)], "weights[3] has dtype complex128"),
    "ragged": (lambda w: [*w[:3], [[1.0], [1.0, 2.0]]], "weights[3] is no array"),
    "masked": (lambda w: [w[0], mask(w[1]), *w[2:]], "weights[1] has masked elements"),
    "masked rows": (lambda w: [list(mask(w[0])), *w[1:]], "weights[0][2] has masked elements"),
}


@pytest.mark.parametrize(("change", "said"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_and_change_nothing(ops, change, said):
    model = make_model(ops)
    before = bits(model)
    other = make_model(ops, seed=2).get_weights()
    with pytest.raises(ValueError, match=re.escape(said)):
        model.set_weights(change(other))
    assert bits(model) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sizes": [5]}, "sizes is [5], expected two or more widths"),
        ({"sizes": [5, 0, 2]}, "expected two or more widths of 1 to"),
        ({"sizes": [5, 2**31]}, "expected two or more widths of 1 to"),
        ({"sizes": [2**63, 2]}, "expected two or more widths of 1 to"),
        ({"sizes": [5, 2.5]}, "sizes is [5, 2.5]"),
        ({"sizes": 5}, "sizes is 5"),
        ({"sizes": [5, True]}, "sizes is [5, True]"),
        ({"sizes": [5, np.True_]}, "expected two or more widths of 1 to"),
        ({"dtype": np.float16}, "dtype is float16, expected float32 or float64"),
        ({"dtype": np.int64}, "dtype is int64"),
        ({"dtype": None}, "dtype is None"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": np.nan}, "scale is nan"),
        ({"scale": 1e-60}, "expected a finite number other than 0 in float32"),
        ({"scale": "a"}, "scale is 'a'"),
        ({"scale": "2"}, "scale is '2'"),
        ({"scale": True}, "scale is True"),
        ({"dropout": "0.5"}, "dropout is '0.5', expected a rate"),
        ({"scale": 10**400}, "expected a number such as 1 / 255"),
        ({"image_shape": 6}, "image_shape is 6, expected sides"),
        ({"class_names": 3}, "class_names is 3, expected 3 names"),
        ({"image_shape": (2, 2)}, "image_shape is (2, 2), expected sides whose product is 6"),
        ({"image_shape": (-2, -3)}, "image_shape is (-2, -3)"),
        ({"class_names": ["a"]}, "class_names has 1 names, expected 3"),
        ({"activation": "tan"}, "activation is 'tan', expected one of identity, relu, tanh, logistic"),
        ({"activation": "tan"}, "; did you mean 'tanh'?"),
        ({"activation": "ReLU"}, "did you mean 'relu'?"),
        ({"activation": "Leaky ReLU"}, "did you mean 'leaky_relu'?"),
        ({"activation": None}, "activation is None, expected a name, or one a hidden layer"),
        ({"activation": 3}, "activation is 3, expected a name, or one a hidden layer"),
        ({"activation": ""}, "activation is '', expected one of identity"),
        ({"activation": []}, "activation has 0 names, expected 1, one a hidden layer"),
        ({"activation": ["tanh", "relu"]}, "activation has 2 names, expected 1, one a hidden layer"),
        ({"activation": ["giga"]}, "activation[0] is 'giga', expected one of identity, relu, tanh"),
        ({"activation": [None]}, "activation[0] is None, expected one of identity, relu, tanh"),
        ({"activation": [["tanh"]]}, "activation[0] is ['tanh'], expected one of identity, relu, tanh"),
        ({"sizes": [6, 3], "activation": "tan"}, "activation is 'tan'"),
        ({"sizes": [6, 3], "activation": ["tanh"]}, "activation has 1 names, expected 0"),
        (
            {"init": "he"},
            "init is 'he', expected one of he_normal, he_uniform, glorot_normal, glorot_uniform",
        ),
        ({"init": "glorot_norm"}, "lecun_normal; did you mean 'glorot_normal'?"),
        ({"init": None}, "init is None, expected one of he_normal"),
        ({"init": ["he_normal"]}, "init is ['he_normal'], expected one of he_normal"),
        (
            {"ops": "reference"},
            "ops is 'reference', which has no adam_step; expected fastmlp.kernels or",
        ),
        ({"ops": None}, "ops is None, which has no adam_step"),
    ],
    ids=str,
)
def test_bad_configurations_are_refused(options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make_model(**{"ops": kernels, **options})
