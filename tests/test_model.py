"""The model on both back ends: what it computes, and who may use it when."""

import threading
import types

import numpy as np
import pytest
from models import ROWS, SIZES, X_GOOD, Y_GOOD, bits, make_data, make_model, train_by_steps

from fastmlp import MLP, DataLoader, DigitsClassifier, fit, kernels, train_epoch

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


def test_one_hot_rows_and_integers_train_alike(ops):
    models = [make_model(ops), make_model(ops)]
    for model, y in zip(models, (Y_GOOD, ROWS), strict=True):
        train_epoch(model, X_GOOD, y, lr=0.1, shuffle=False)
    for w, expected in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-6, atol=1e-7)


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
            lambda: model.predict(X),  # which would wait for its own thread
        ):
            with pytest.raises(RuntimeError, match="is being trained by another call") as caught:
                call()
            said.append(caught.value)
        return ops.train_epoch(*args)

    both = types.SimpleNamespace(**{**vars(ops), "train_epoch": epoch_with_a_second_call})
    model, twin = make_model(both), make_model(ops)
    X, y = make_data(model.sizes)
    for m in (model, twin):
        train_epoch(m, X, y, shuffle=False)
    assert len(said) == 6
    assert bits(model) == bits(twin)
    model.forward(X, y)


def test_the_digits_classifier_is_the_notebooks():
    model = DigitsClassifier(seed=0)
    assert model.sizes == (784, 128, 10) and model.n_parameters == 784 * 128 + 128 + 128 * 10 + 10
    assert model.n_in == 784 and model.n_classes == 10 and model.dtype == np.float32
    assert model.scale == 1 and model.image_shape == (28, 28) and model.ops is kernels
    assert DigitsClassifier(30, hidden=()).sizes == (30, 10)
    assert DigitsClassifier(hidden=64).sizes == DigitsClassifier(hidden=np.int64(64)).sizes == (784, 64, 10)
    for hidden in (True, 64.0, "64", None, 0, (5, True)):
        with pytest.raises(ValueError, match="sizes is .*, expected two or more widths"):
            DigitsClassifier(hidden=hidden)
    assert DigitsClassifier(30, hidden=(8, 7), n_classes=4).sizes == (30, 8, 7, 4)
    assert DigitsClassifier(30).image_shape is None
    assert DigitsClassifier(784, image_shape=(14, 56)).image_shape == (14, 56)
    assert bits(model) == bits(MLP([784, 128, 10], seed=0))
