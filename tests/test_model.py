"""The model on both back ends: what it computes, what it refuses, and what it keeps."""

import copy
import pickle
import re
import threading
import tracemalloc
import types

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from fastmlp import MLP, DataLoader, DigitsClassifier, evaluate, fit, kernels, train_epoch
from fastmlp.storage import save_model

SIZES = [[1, 1], [5, 3], [1, 1, 1, 1], [6, 1, 2], [7, 17, 3], [65, 33, 16, 5], [3, 4, 5, 6, 7, 2]]


def make_data(sizes, n=50, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, sizes[0])).astype(dtype)
    return X, rng.integers(0, sizes[-1], n)


def make_model(ops, sizes=(6, 5, 3), **options):
    return MLP(sizes, **{"seed": 1, "ops": ops, **options})


def train_by_steps(model, X, y, batch_size, lr):
    losses = []
    for start in range(0, len(X), batch_size):
        losses.append(model.forward(X[start : start + batch_size], y[start : start + batch_size]))
        model.backward()
        model.step(lr)
    return losses


def bits(model):
    return b"".join(w.tobytes() for w in model.get_weights())


# --- what it computes ------------------------------------------------------------------------------------


def expected_logits(model, X):
    """The forward pass in float64."""
    *hidden, (w, b) = zip(*[iter(np.float64(w) for w in model.get_weights())] * 2, strict=True)
    x = np.float64(X) * model.scale
    for w_hidden, b_hidden in hidden:
        x = np.maximum(x @ w_hidden + b_hidden, 0)
    return x @ w + b


def expected_loss(model, X, y):
    z = expected_logits(model, X)
    z -= z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(y)), y])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_are_those_of_the_formulas(ops, sizes, dtype):
    model = make_model(ops, sizes, dtype=dtype, scale=0.5)
    X, y = make_data(sizes)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    z = expected_logits(model, X)
    np.testing.assert_allclose(model.logits(X), z, **close)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    got = model.predict_proba(X)
    np.testing.assert_allclose(got, p, **close)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=8 * np.finfo(dtype).eps)
    assert got.dtype == model.logits(X).dtype == dtype
    np.testing.assert_allclose(model.forward(X, y), expected_loss(model, X, y), **close)
    predicted = model.predict(X)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, model.logits(X).argmax(axis=1))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("one_hot", [False, True])
def test_a_step_follows_the_finite_differences(ops, sizes, one_hot):
    model = make_model(ops, sizes, dtype=np.float64)
    X, y = make_data(sizes, 20, np.float64)
    y = np.eye(sizes[-1])[y] if one_hot and sizes[-1] > 1 else y
    start = model.get_weights()
    model.forward(X, y)
    model.backward()
    model.step(1.0)
    flat = np.concatenate([w.ravel() for w in start])
    gradient = flat - np.concatenate([w.ravel() for w in model.get_weights()])

    def loss(values):
        cuts = np.cumsum([w.size for w in start])[:-1]
        parts = np.split(values, cuts)
        model.set_weights([part.reshape(w.shape) for part, w in zip(parts, start, strict=True)])
        return model.forward(X, y)

    picked = np.random.default_rng(0).permutation(flat.size)[:80]
    h = 1e-5
    moves = [h * (np.arange(flat.size) == i) for i in picked]
    expected = [(loss(flat + move) - loss(flat - move)) / (2 * h) for move in moves]
    apart = np.linalg.norm(gradient[picked] - expected)
    assert apart <= 1e-6 * np.linalg.norm(expected) + 1e-10


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_steps_equal_an_epoch(ops, sizes, x_dtype):
    X, y = make_data(sizes, 53)
    X = (np.abs(X) * 90).astype(np.uint8) if x_dtype == np.uint8 else X.astype(x_dtype)
    models = [make_model(ops, sizes, scale=0.01 if x_dtype == np.uint8 else 1) for _ in range(2)]
    losses = np.full(6, np.nan)
    assert models[0].run_epoch(DataLoader(X, y, 10), np.arange(53), 0.1, losses) == 6
    by_steps = train_by_steps(models[1], X, y, 10, 0.1)
    if ops is kernels:
        np.testing.assert_array_equal(losses, by_steps)
        assert bits(models[0]) == bits(models[1])
    else:
        np.testing.assert_allclose(losses, by_steps, rtol=1e-5)
        for w, expected in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-6)


def test_training_lowers_the_loss(ops):
    X, y = make_data([6, 3], 200)
    y = X[:, :3].argmax(axis=1)
    model = make_model(ops, (6, 16, 3))
    before = model.forward(X, y)
    for _ in range(50):
        train_by_steps(model, X, y, 20, 0.1)
    assert model.forward(X, y) < before / 5
    assert np.mean(model.predict(X) == y) > 0.95


def test_a_single_sample_may_be_one_row(ops):
    model = make_model(ops)
    X, _ = make_data(model.sizes)
    for method in (model.logits, model.predict, model.predict_proba):
        got = method(X[7])
        assert got.shape == method(X[7:8]).shape
        np.testing.assert_array_equal(got, method(X[7:8]))
    assert model.predict(list(map(float, X[7]))).shape == (1,)


def test_no_samples_have_no_outputs(ops):
    model = make_model(ops)
    assert model.predict(np.empty((0, 6))).shape == (0,)
    assert model.predict_proba(np.empty((0, 6))).shape == (0, 3)


def test_an_output_does_not_depend_on_its_neighbours():
    model = make_model(kernels, (20, 30, 4))
    X, _ = make_data(model.sizes, 300)
    whole = model.predict_proba(X)
    for rows in (slice(1), slice(3, 10), slice(64, 65), slice(100, 300)):
        np.testing.assert_array_equal(model.predict_proba(X[rows]), whole[rows])


# --- initial weights -------------------------------------------------------------------------------------


def test_weights_start_as_he_et_al_drew_them(ops):
    model = make_model(ops, (400, 300, 10), seed=3, dtype=np.float64)
    rng = np.random.default_rng(3)
    w1, b1, w2, b2 = model.get_weights()
    np.testing.assert_array_equal(w1, rng.standard_normal((400, 300)) * np.sqrt(2 / 400))
    np.testing.assert_array_equal(w2, rng.standard_normal((300, 10)) * np.sqrt(2 / 300))
    assert not b1.any() and not b2.any()


def test_a_seed_gives_the_same_weights_in_both_dtypes(ops):
    assert bits(make_model(ops)) == bits(make_model(kernels)) != bits(make_model(ops, seed=2))
    assert bits(make_model(ops, seed=None)) != bits(make_model(ops, seed=None))
    for narrow, wide in zip(
        make_model(ops).get_weights(), make_model(ops, dtype=np.float64).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(narrow, wide.astype(np.float32))


# --- the door --------------------------------------------------------------------------------------------

X_GOOD, Y_GOOD = make_data([6, 3], 4)
ROWS = np.eye(3)[Y_GOOD]


def with_value(array, value, dtype=np.float64):
    changed = array.astype(dtype)
    changed[2, 1] = value
    return changed


BAD_X = {
    "narrow": (X_GOOD[:, :5], "X has 5 features a row, expected 6"),
    "wide": (np.hstack([X_GOOD, X_GOOD]), "X has 12 features a row, expected 6"),
    "images": (X_GOOD.reshape(4, 2, 3), "X.reshape(len(X), -1)"),
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
    "label below 0": (np.array([0, 1, -1, 2]), "y[2] is -1, expected labels from 0 up"),
    "column": (Y_GOOD[:, None], "y.ravel()"),
    "floats": (Y_GOOD.astype(float), "y.astype(int)"),
    "too few": (Y_GOOD[:3], "y has 3 labels, expected 4"),
    "too many columns": (np.eye(4)[Y_GOOD], "y has 4 columns, expected 3"),
    "three dimensions": (ROWS[None], "expected (n,) integers or (n, n_classes) rows"),
    "sums to 2": (2 * ROWS, "none below 0 or above 1"),
    "sums to less": (ROWS * 0.9, "sums to 0.9"),
    "negative share": (ROWS + [[-0.5, 0.5, 0]], "none below 0"),
    "NaN share": (with_value(ROWS, np.nan), "expected probabilities"),
    "strings": (Y_GOOD.astype(str), "y has dtype"),
}
BAD_DATA = {f"X {name}": (X, Y_GOOD, said) for name, (X, said) in BAD_X.items()}
BAD_DATA |= {f"y {name}": (X_GOOD, y, said) for name, (y, said) in BAD_Y.items()}
TRAINING = {
    "forward": lambda model, X, y: model.forward(X, y),
    "train_epoch": lambda model, X, y: train_epoch(model, X, y),
    "fit": lambda model, X, y: fit(model, X, y, epochs=1),
    "loader": lambda model, X, y: fit(model, DataLoader(X, y), epochs=1),
}


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
    with pytest.raises(ValueError, match="times the scale 1e"):
        model.predict(with_value(X_GOOD, 1e10))
    make_model(ops, scale=1e30, dtype=np.float64).predict(with_value(X_GOOD, 1e10))


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


def test_one_hot_rows_and_integers_train_alike(ops):
    models = [make_model(ops), make_model(ops)]
    for model, y in zip(models, (Y_GOOD, ROWS), strict=True):
        train_epoch(model, X_GOOD, y, lr=0.1, shuffle=False)
    for w, expected in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-7)


BAD_LR = [0, -1, np.nan, np.inf, -np.inf, 1e-60, 1e60, "a", None, [0.1, 0.2]]


@pytest.mark.parametrize("lr", BAD_LR, ids=str)
def test_bad_learning_rates_are_refused_and_change_nothing(ops, lr):
    model = make_model(ops)
    before = bits(model)
    model.forward(X_GOOD, Y_GOOD)
    model.backward()
    with pytest.raises(ValueError, match="lr is .*, expected a .*number above 0"):
        model.step(lr)
    with pytest.raises(ValueError, match="lr is .*, expected a .*number above 0"):
        train_epoch(model, X_GOOD, Y_GOOD, lr=lr)
    assert bits(model) == before
    make_model(ops, dtype=np.float64).run_epoch(DataLoader(X_GOOD, Y_GOOD), np.arange(4), 1e-60, np.zeros(1))


def test_backward_wants_a_forward_pass_and_step_a_backward_pass(ops):
    model = make_model(ops)
    before = bits(model)
    for turn in range(2):
        with pytest.raises(RuntimeError, match="forward"):
            model.backward()
        model.forward(X_GOOD, Y_GOOD)
        with pytest.raises(RuntimeError, match="backward"):
            model.step(0.1)
        assert bits(model) == before, turn
        model.backward()
        model.step(0.1)
        before = bits(model)
    model.forward(X_GOOD, Y_GOOD)
    with pytest.raises(ValueError, match="features"):
        model.forward(X_GOOD[:, :2], Y_GOOD)
    model.backward()  # of the last pass that there was
    for change in (
        lambda: model.set_weights(model.get_weights()),
        lambda: train_epoch(model, X_GOOD, Y_GOOD),
    ):
        model.forward(X_GOOD, Y_GOOD)
        change()
        with pytest.raises(RuntimeError, match="forward"):
            model.backward()


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
        ({"dtype": np.float16}, "dtype is float16, expected float32 or float64"),
        ({"dtype": np.int64}, "dtype is int64"),
        ({"dtype": None}, "dtype is None"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": np.nan}, "scale is nan"),
        ({"scale": 1e-60}, "expected a finite number other than 0 in float32"),
        ({"scale": "a"}, "scale is 'a'"),
        ({"scale": 10**400}, "expected a number such as 1 / 255"),
        ({"image_shape": 6}, "image_shape is 6, expected sides"),
        ({"class_names": 3}, "class_names is 3, expected 3 names"),
        ({"image_shape": (2, 2)}, "image_shape is (2, 2), expected sides whose product is 6"),
        ({"image_shape": (-2, -3)}, "image_shape is (-2, -3)"),
        ({"class_names": ["a"]}, "class_names has 1 names, expected 3"),
    ],
    ids=str,
)
def test_bad_configurations_are_refused(options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make_model(kernels, **options)


# --- memory ----------------------------------------------------------------------------------------------


def test_workspaces_grow_and_keep_the_weights(ops):
    model, twin = make_model(ops), make_model(ops)
    X, y = make_data(model.sizes, 100)
    before = bits(model)
    twin.forward(X, y)
    for n in (1, 3, 100, 2):
        model.forward(X[:n], y[:n])
        assert bits(model) == before
    for n in (100, 1, 50):
        for m in (model, twin):
            m.forward(X[:n], y[:n])
            m.backward()
            m.step(0.1)
    assert bits(model) == bits(twin) != before


@pytest.fixture
def numba_statistics():
    """Numba's counts of allocations, which it takes only when told to."""
    train_epoch(make_model(kernels), X_GOOD, Y_GOOD)  # Numba counts from its first compiled code on
    _nrt_python.memsys_enable_stats()
    yield rtsys.get_allocation_stats
    _nrt_python.memsys_disable_stats()


def unreturned(statistics):
    found = statistics()
    return found.alloc - found.free, found.mi_alloc - found.mi_free


@pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])
def test_a_thousand_steps_keep_nothing(numba_statistics, x_dtype):
    model = make_model(kernels, (50, 40, 3), scale=0.01)
    X, y = make_data(model.sizes, 2000)
    X = np.abs(X * 50).astype(x_dtype)
    train_by_steps(model, X, y, 100, 1e-3)  # workspaces, and what Python makes once
    tracemalloc.start()
    try:
        train_by_steps(model, X, y, 100, 1e-3)
        before, numbas = tracemalloc.get_traced_memory()[0], unreturned(numba_statistics)
        tracemalloc.reset_peak()
        for _ in range(50):
            train_by_steps(model, X, y, 100, 1e-3)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000  # bytes
    assert peak - before < 14_000  # a workspace of the inputs alone would be 20,000
    assert unreturned(numba_statistics) == numbas


def test_an_epoch_allocates_no_more_for_more_batches(numba_statistics):
    model = make_model(kernels, (50, 40, 3))
    X, y = make_data(model.sizes, 5000)
    loader = DataLoader(X, y, 5)

    def run(n_batches):
        order, losses = np.arange(5 * n_batches), np.zeros(n_batches)
        tracemalloc.start()
        try:
            at_first, start = numba_statistics(), tracemalloc.get_traced_memory()[0]
            model.run_epoch(loader, order, 1e-3, losses)
            at_last, peak = numba_statistics(), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return np.subtract(at_last, at_first), peak - start

    run(1000)
    few, _ = run(1)
    many, peak = run(1000)
    np.testing.assert_array_equal(many, few)
    assert many[0] == many[1] and many[2] == many[3]  # all returned
    assert peak < 64_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pads_stay_zero(dtype):
    """Rows of parameters and activations are padded; what lies there would count if it were not zero."""
    model = make_model(kernels, (17, 19, 5, 3), dtype=dtype)
    X, y = make_data(model.sizes, 70)
    fit(model, X, y, epochs=3, batch_size=32, lr=0.1)
    model.forward(X, y)
    model.backward()
    model.step(0.1)
    n_parameters = int(model._table[0, 5])
    marked = model._arena[:n_parameters].copy()
    for pair in model._parameters(marked):
        for array in pair:
            array[...] = 0
    assert not marked.any()
    assert model._arena[:n_parameters].any()
    for n_in, *_, first, row in model._table[:, :7].tolist():
        assert not model._arena[first : first + 70 * row].reshape(70, row)[:, n_in:].any()


def test_weights_are_copied_in_and_out(ops):
    model = make_model(ops)
    before = bits(model)
    for w in model.get_weights():
        w[...] = 7
    assert bits(model) == before
    mine = make_model(ops, seed=9).get_weights()
    model.set_weights(mine)
    expected = b"".join(w.tobytes() for w in mine)
    for w in mine:
        w[...] = 7
    assert bits(model) == expected != before
    assert [w.shape for w in model.get_weights()] == [(6, 5), (5,), (5, 3), (3,)]
    model.set_weights([w.tolist() for w in model.get_weights()])
    assert bits(model) == expected


# --- files, copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_model_is_loaded_as_it_was(ops, tmp_path, dtype):
    options = {"scale": 1 / 255, "image_shape": (2, 3), "class_names": ["a", "b", "ç"]}
    model = make_model(ops, dtype=dtype, **options)
    X, y = make_data(model.sizes)
    train_by_steps(model, X, y, 10, 0.1)
    model.save(tmp_path / "a")
    loaded = MLP.load(tmp_path / "a", ops=ops)
    assert type(loaded) is MLP and loaded.ops is ops and loaded.dtype == dtype
    assert loaded.config() == model.config()
    assert loaded.image_shape == (2, 3) and loaded.class_names == ("a", "b", "ç") and loaded.scale == 1 / 255
    assert bits(loaded) == bits(model)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for m in (model, loaded):
        train_by_steps(m, X, y, 10, 0.1)
    assert bits(loaded) == bits(model)


def test_a_digits_classifier_is_loaded_as_one(ops, tmp_path):
    DigitsClassifier(hidden=(4,), seed=0, ops=ops).save(tmp_path / "m")
    loaded = DigitsClassifier.load(tmp_path / "m")
    assert type(loaded) is DigitsClassifier and loaded.ops is kernels and loaded.image_shape == (28, 28)


def test_a_save_that_fails_leaves_the_old_file(ops, tmp_path):
    path = tmp_path / "m"
    model = make_model(ops)
    model.save(path)
    before = path.read_bytes()
    model._parameters()[1][0][0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        model.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_files_that_hold_no_model_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        MLP.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="text"):
        MLP.load(tmp_path / "text")
    model = make_model(kernels)
    save_model(tmp_path / "other", {**model.config(), "class": "Other"}, model.get_weights())
    with pytest.raises(ValueError, match="other: found class 'Other', expected one of"):
        MLP.load(tmp_path / "other")


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_copies_train_on_to_the_same_bits_alone(ops, duplicate):
    model = DigitsClassifier(6, (5, 4), 3, seed=0, scale=0.5, class_names="abc", ops=ops)
    X, y = make_data(model.sizes)
    fit(model, X, y, epochs=1, lr=0.1, seed=0)
    other = duplicate(model)
    assert type(other) is DigitsClassifier and other.ops is ops and other.config() == model.config()
    before = bits(model)
    fit(other, X, y, epochs=2, lr=0.1, seed=5)
    assert bits(model) == before
    fit(model, X, y, epochs=2, lr=0.1, seed=5)
    assert bits(model) == bits(other) != before


# --- threads ---------------------------------------------------------------------------------------------


def test_several_threads_predict_at_once(ops):
    model = make_model(ops, (60, 50, 10))
    X, _ = make_data(model.sizes, 2000)
    expected = [model.predict_proba(X[i::4]) for i in range(4)]
    apart = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(model.predict_proba(X[i::4]), expected[i]):
                apart.append(i)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not apart and not any(thread.is_alive() for thread in threads)


def test_a_second_training_call_is_an_error(ops):
    said = []

    def epoch_with_a_second_call(*args):
        for call in (
            lambda: model.forward(X, y),
            lambda: model.backward(),
            lambda: model.step(0.1),
            lambda: model.set_weights(model.get_weights()),
            lambda: fit(model, X, y),
        ):
            with pytest.raises(RuntimeError, match="is being trained by another call") as caught:
                call()
            said.append(caught.value)
        model.predict(X)
        return ops.sgd_epoch(*args)

    both = types.SimpleNamespace(**{**vars(ops), "sgd_epoch": epoch_with_a_second_call})
    model, twin = make_model(both), make_model(ops)
    X, y = make_data(model.sizes)
    for m in (model, twin):
        train_epoch(m, X, y, shuffle=False)
    assert len(said) == 5
    assert bits(model) == bits(twin)
    model.forward(X, y)


# --- what it says of itself ------------------------------------------------------------------------------


def test_the_digits_classifier_is_the_notebooks():
    model = DigitsClassifier(seed=0)
    assert model.sizes == (784, 128, 10) and model.n_parameters == 784 * 128 + 128 + 128 * 10 + 10
    assert model.n_in == 784 and model.n_classes == 10 and model.dtype == np.float32
    assert model.scale == 1 and model.image_shape == (28, 28) and model.ops is kernels
    assert DigitsClassifier(30, hidden=()).sizes == (30, 10)
    assert DigitsClassifier(30, hidden=(8, 7), n_classes=4).sizes == (30, 8, 7, 4)
    assert DigitsClassifier(30).image_shape is None
    assert DigitsClassifier(784, image_shape=(14, 56)).image_shape == (14, 56)
    assert bits(model) == bits(MLP([784, 128, 10], seed=0))


def test_the_summary_names_every_layer():
    summary = make_model(kernels, (784, 128, 64, 10)).summary()
    lines = summary.splitlines()
    assert [line.split() for line in lines[1:]] == [
        "Linear + ReLU 784 x 128 100,480".split(),
        "Linear + ReLU 128 x 64 8,256".split(),
        "Linear + softmax 64 x 10 650".split(),
        ["total", "109,386"],
    ]
    assert repr(make_model(kernels, scale=0.5)) == "MLP([6, 5, 3], scale=0.5, dtype=float32)"
