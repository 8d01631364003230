"""Inputs that are centered and scaled: what the network sees, to which bits, and what is kept of it."""

import copy
import pickle

import numpy as np
import pytest
from bounds import assert_within, gamma, magnitude
from models import make_model

from fastmlp import MLP, SGD, Adam, DataLoader, fit, kernels, reference, train_epoch
from fastmlp.export.safetensors import load_model
from fastmlp.scaling import FAR, column_means

SIZES, N, BATCH = (70, 65, 33, 10), 90, 32
RNG = np.random.default_rng(0)
CENTER, SCALES = 255 * RNG.random(SIZES[0]), (0.5 + RNG.random(SIZES[0])) / 255
OPTIMIZERS = {
    "plain": SGD(0.05),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True, l2=0.1),
    "adam": Adam(0.01),
}
EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
INPUTS = {
    "centered": {"center": CENTER, "scale": 1 / 255},
    "centered and dropped": {"center": CENTER, "scale": 1 / 255, "dropout": (0.2, 0.3)},
    "scaled": {"scale": SCALES},
    "centered and scaled": {"center": CENTER, "scale": SCALES, "activation": "gelu", "dropout": 0.1},
    "all": {"center": CENTER, "scale": SCALES, "dropout": (0.2, 0.0)},
}
KINDS = pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
X_DTYPES = pytest.mark.parametrize("x_dtype", [np.uint8, np.float32, np.float64])


def data(x_dtype=np.uint8):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (N, SIZES[0])) * (rng.random((N, SIZES[0])) < 0.3)
    return X.astype(x_dtype), rng.integers(SIZES[-1], size=N)


def make(dtype=np.float32, ops=kernels, sizes=SIZES, **options):
    return MLP(sizes, seed=1, dtype=dtype, ops=ops, **options)


def bits(model):
    kept = model.get_state()
    arrays = [*kept["weights"], *(a for row in kept["state"] for a in row), model.logits(data()[0])]
    return b"".join(a.tobytes() for a in arrays)


def train(model, optimizer, X, y, epochs=2):
    for _ in range(epochs):
        train_epoch(model, X, y, batch_size=BATCH, shuffle=False, optimizer=optimizer)
    return model


def by_steps(model, optimizer, X, y, epochs=2):
    for start in [*range(0, len(X), BATCH)] * epochs:
        now = slice(start, start + BATCH)
        model.forward(X[now], y[now])
        model.backward()
        model.step(optimizer)
    return model


# --- what the network sees ------------------------------------------------------------------------------


@DTYPES
@X_DTYPES
@pytest.mark.parametrize("scale", [1 / 255, SCALES], ids=["a number", "a vector"])
def test_logits_are_those_of_data_that_was_centered_before(ops, scale, x_dtype, dtype):
    """A sum of 2 n_in products and the bias; s and the shift are rounded twice, scale included."""
    X, _ = data(x_dtype)
    model = make(dtype, ops, (SIZES[0], 10), center=CENTER, scale=scale)
    w, b = (a.astype(np.float64) for a in model.get_weights())
    terms = (magnitude(X) * scale + CENTER * scale) @ magnitude(w) + magnitude(b)
    expected = (X - CENTER) * scale @ w + b
    assert_within(model.logits(X), expected, gamma(2 * SIZES[0] + 4, dtype) * terms)


@DTYPES
def test_a_step_is_that_of_data_that_was_centered_before(dtype):
    """Of squared errors, whose gradient's every term is a sum over the rows: logits, then products."""
    X, y = data()[0][:BATCH], RNG.standard_normal((BATCH, 5))
    model = make(dtype, sizes=(SIZES[0], 5), output="identity", center=CENTER, scale=1 / 255)
    start = [a.astype(np.float64) for a in model.get_weights()]
    inputs = (X - CENTER) / 255
    z = inputs @ start[0] + start[1]
    terms = (X + CENTER) / 255 @ magnitude(start[0]) + magnitude(start[1])
    error, of_error = (z - y) / BATCH, (gamma(2 * SIZES[0] + 8, dtype) * (terms + magnitude(y))) / BATCH
    model.forward(X, y)
    model.backward()
    model.step(1.0)
    size = (X + CENTER) / 255
    bound = size.T @ of_error + gamma(2 * BATCH + 8, dtype) * size.T @ (magnitude(error) + of_error)
    expected = start[0] - inputs.T @ error
    of_step = gamma(2, dtype) * (magnitude(start[0]) + magnitude(inputs.T @ error) + bound)
    assert_within(model.get_weights()[0], expected, bound + of_step)


@EVERY
@pytest.mark.parametrize("by", [train, by_steps], ids=["epochs", "steps"])
@pytest.mark.parametrize("scale", [1 / 255, SCALES], ids=["a number", "a vector"])
def test_training_is_that_of_data_that_was_centered_before(ops, scale, by, optimizer):
    X, y = data()
    centered = make(np.float64, ops, center=CENTER, scale=scale)
    plain = make(np.float64, reference)
    by(centered, optimizer, X, y)
    train(plain, optimizer, (X - CENTER) * scale, y)
    for got, expected in zip(centered.get_weights(), plain.get_weights(), strict=True):
        # in float64 no ReLU is near enough to 0 to flip, and six steps multiply roundings by far less
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)


@KINDS
@X_DTYPES
def test_the_reference_trains_alike(inputs, x_dtype):
    X, y = data(x_dtype)
    models = [train(make(np.float64, ops, **inputs), Adam(0.01), X, y) for ops in (kernels, reference)]
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("output", ["softmax", "identity"])
def test_gradients_are_those_of_the_loss(output):
    """Central differences through the compiled model, in float64."""
    X, y = data()
    y = y if output == "softmax" else RNG.standard_normal((N, 4))
    sizes = (SIZES[0], 6, 10 if output == "softmax" else 4)
    model = make(np.float64, sizes=sizes, activation="tanh", output=output, center=CENTER, scale=SCALES)
    start = model.get_weights()
    model.forward(X, y)
    model.backward()
    model.step(1.0)
    gradients = [w - moved for w, moved in zip(start, model.get_weights(), strict=True)]
    for i, gradient in enumerate(gradients):
        for j in RNG.choice(gradient.size, min(8, gradient.size), replace=False):
            place, losses = np.unravel_index(j, gradient.shape), []
            for move in (1e-5, -1e-5):
                weights = [w.copy() for w in start]
                weights[i][place] += move
                model.set_weights(weights)
                losses.append(model.forward(X, y))
            slope = (losses[0] - losses[1]) / 2e-5
            assert abs(slope - gradient[place]) <= 1e-6 * max(abs(gradient).max(), 1e-3)


def test_what_is_dropped_from_is_centered():
    """At a rate of nearly 1 nothing is left of inputs: not their center either."""
    X, y = data()
    model = make(center=CENTER, scale=1 / 255, dropout=(1 - 2**-20, 0.0), sizes=(SIZES[0], 10))
    w, b = model.get_weights()
    model.forward(X, y)
    model.backward()
    model.step(1.0)
    assert model.get_weights()[0].tobytes() == w.tobytes() and model.get_weights()[1].tobytes() != b.tobytes()


# --- to which bits --------------------------------------------------------------------------------------


@KINDS
@EVERY
@DTYPES
@X_DTYPES
def test_steps_are_the_epoch_bit_by_bit(inputs, optimizer, x_dtype, dtype):
    X, y = data(x_dtype)
    assert bits(by_steps(make(dtype, **inputs), optimizer, X, y)) == bits(
        train(make(dtype, **inputs), optimizer, X, y)
    )


@KINDS
@EVERY
def test_the_same_bits_whatever_the_threads_the_skipping_and_the_data(
    inputs, optimizer, threads, monkeypatch
):
    found = set()
    for n in (1, 2, 4):
        for skip in ("on", "off"):
            for x_dtype in (np.uint8, np.float64):
                threads(n)
                monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
                found.add(bits(train(make(**inputs), optimizer, *data(x_dtype))))
    assert len(found) == 1


@pytest.mark.parametrize("skip", ["on", "off"])
def test_more_threads_than_there_are_rows_or_columns_to_share(skip, threads, monkeypatch):
    monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
    X, y = data()
    found = set()
    for n in (1, *[16, 7, 4] * 3):
        threads(n)
        model = make(sizes=(SIZES[0], 256, 10), center=CENTER, scale=1 / 255)
        for batch_size in (40, 9):
            train_epoch(model, X, y, 0.05, batch_size=batch_size, shuffle=False)
        found.add(bits(model))
    assert len(found) == 1


def test_a_center_of_nothing_is_none():
    X, y = data()
    models = [train(make(scale=1 / 255, center=c), Adam(0.01), X, y) for c in (None, np.zeros(SIZES[0]))]
    assert bits(models[0]) == bits(models[1])


# --- the mean, found and kept ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 255, 256, 257, 1000])
def test_means_of_bytes_are_exact(n):
    X = np.random.default_rng(n).integers(0, 256, (n, 5), dtype=np.uint8)
    X[:, 0] = 255
    for same in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        assert column_means(same).tolist() == (X.sum(axis=0) / n).tolist()


@pytest.mark.parametrize("x_dtype", [np.float32, np.float64])
def test_means_are_the_same_in_every_layout(x_dtype):
    X = RNG.standard_normal((1000, 7)).astype(x_dtype)
    means = {
        column_means(same).tobytes() for same in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2])
    }
    assert len(means) == 1
    terms = magnitude(X).mean(axis=0)
    assert_within(column_means(X), X.astype(np.float64).mean(axis=0), gamma(1001, np.float64) * terms)


TRAINING = {
    "train_epoch": lambda model, X, y: train_epoch(model, X, y, shuffle=False),
    "fit": lambda model, X, y: fit(model, X, y, epochs=1, shuffle=False),
    "run_epoch": lambda model, X, y: model.run_epoch(DataLoader(X, y), np.arange(N), 1e-3, np.empty(1)),
}


@pytest.mark.parametrize("first", TRAINING.values(), ids=TRAINING)
def test_the_mean_is_that_of_the_first_training(ops, first):
    X, y = data()
    model = make(ops=ops, center="mean", scale=1 / 255)
    given = make(ops=ops, center=X.mean(axis=0), scale=1 / 255)
    assert model.center == "mean"
    first(model, X, y)
    first(given, X, y)
    assert model.center == given.center == tuple(X.mean(axis=0).tolist())
    train(model, SGD(0.1), X[:50], y[:50])
    assert model.center == given.center
    assert bits(model) == bits(train(given, SGD(0.1), X[:50], y[:50]))


BEFORE = {
    "forward": lambda model, X, y: model.forward(X, y),
    "logits": lambda model, X, y: model.logits(X),
    "predict": lambda model, X, y: model.predict(X),
    "loss": lambda model, X, y: model.loss(X, y),
}


@pytest.mark.parametrize("use", BEFORE.values(), ids=BEFORE)
def test_before_it_is_found_the_model_says_what_is_missing(ops, use):
    model, (X, y) = make(ops=ops, center="mean", scale=1 / 255), data()
    with pytest.raises(RuntimeError, match="call fit or train_epoch first, or give a vector"):
        use(model, X, y)
    train(model, SGD(0.1), X, y)
    use(model, X, y)


def test_training_that_is_refused_finds_no_mean():
    model, (X, y) = make(center="mean", scale=1 / 255), data()
    with pytest.raises(ValueError, match="lr is"):
        train_epoch(model, X, y, lr=-1.0)
    assert model.center == "mean"
    with pytest.raises(ValueError, match="center is"):  # the mean of such numbers is not finite
        train_epoch(make_model(kernels, dtype=np.float64, center="mean"), np.full((9, 6), 1e308), y[:9] % 3)


@pytest.mark.parametrize("options", [INPUTS["centered"], INPUTS["all"], {"center": "mean", "scale": 1 / 255}])
def test_files_copies_and_pickles_have_it(ops, tmp_path, options):
    X, y = data()
    model = make(ops=ops, **options)
    assert pickle.loads(pickle.dumps(model)).center == model.center
    model.save(tmp_path / "untrained")
    assert MLP.load(tmp_path / "untrained").config() == model.config()
    train(model, Adam(0.01), X, y)
    model.save(tmp_path / "a")
    loaded = MLP.load(tmp_path / "a", ops=ops)
    assert loaded.config() == model.config() and type(loaded.center) is tuple
    assert loaded.scale == model.scale
    loaded.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        assert twin.center == model.center
        assert twin.logits(X).tobytes() == model.logits(X).tobytes()
    twin = pickle.loads(pickle.dumps(model))
    assert bits(train(twin, Adam(0.01), X, y)) == bits(train(model, Adam(0.01), X, y))


def test_a_run_with_a_mean_is_resumed_to_the_same_bits(tmp_path):
    X, y = data()
    whole, path = make(center="mean", scale=1 / 255), tmp_path / "c"
    fit(whole, X, y, epochs=4, seed=0, optimizer=Adam(0.01))
    fit(make(center="mean", scale=1 / 255), X, y, epochs=2, seed=0, optimizer=Adam(0.01), checkpoint=path)
    resumed = make(center="mean", scale=1 / 255)
    fit(resumed, X, y, epochs=4, seed=0, optimizer=Adam(0.01), resume=path)
    assert bits(resumed) == bits(whole)


def test_no_center_is_in_no_file_or_pickle_of_old(tmp_path):
    model = make(scale=1 / 255)
    model.save(tmp_path / "a")
    assert b"center" not in (tmp_path / "a").read_bytes()
    assert load_model(tmp_path / "a")[0]["center"] is None
    state = model.__getstate__()
    del state["config"]["center"]
    old = object.__new__(MLP)
    old.__setstate__(state)
    assert old.center is None and bits(old) == bits(model)


# --- the door --------------------------------------------------------------------------------------------


BAD_CENTERS = {
    "a word": "median",
    "a number": 0.5,
    "too short": np.zeros(5),
    "a matrix": np.zeros((1, 6)),
    "NaN": np.full(6, np.nan),
    "infinite in float32": np.full(6, 1e300),
    "bools": np.zeros(6, bool),
    "words": list("abcdef"),
    "ragged": [[1.0], [1.0, 2.0]],
    "masked": np.ma.masked_equal(np.arange(6.0), 2),
}


@pytest.mark.parametrize("center", BAD_CENTERS.values(), ids=BAD_CENTERS)
def test_a_center_is_a_number_for_each_feature(ops, center):
    with pytest.raises(ValueError, match="^center is .*, expected None, 'mean', or 6 numbers, one a feature"):
        make_model(ops, center=center)


@pytest.mark.parametrize(
    "scale",
    [
        np.ones(5),
        np.ones((1, 6)),
        np.zeros(6),
        np.full(6, np.inf),
        np.full(6, 1e-60),
        list("abcdef"),
        [[1], [1, 2]],
    ],
    ids=repr,
)
def test_a_scale_is_a_number_or_one_for_each_feature(ops, scale):
    with pytest.raises(ValueError, match="^scale is .*, expected a number, or 6 of them, finite and not 0"):
        make_model(ops, scale=scale)


def test_data_that_a_vector_scales_to_infinity_is_refused():
    model = make_model(kernels, scale=[1, 1, 1, 1, 1, -1e30])
    with pytest.raises(ValueError, match=r"X reaches 1e\+20, which is infinite in float32 times the scale"):
        model.forward(np.full((2, 6), 1e20), [0, 1])


def test_fit_warns_where_digits_are_lost(ops):
    X, y = RNG.standard_normal((20, 6)), np.arange(20) % 3
    fit(make_model(ops, center=np.full(6, FAR)), X, y, epochs=1)
    for model, far in (
        (make_model(ops, center=[0, 0, -FAR - 1, 0, 0, 0]), X),
        (make_model(ops, center="mean"), X + 2e3),
    ):
        with pytest.warns(UserWarning, match="standardise the data instead") as caught:
            fit(model, far, y, epochs=1)
        assert caught[0].filename == __file__
    far[:, 0] = 7e4  # which has no deviation
    s = far.std(axis=0)
    standardised = (far - far.mean(axis=0)) / np.where(s == 0, 1, s)
    fit(make_model(ops), standardised, y, epochs=1)  # as the text has it


def test_center_and_scale_are_said_shortly():
    model = make_model(kernels, center="mean", scale=np.ones(6))
    assert repr(model) == "MLP([6, 5, 3], center='mean', scale=<6 numbers>, dtype=float32)"
    assert "center=<6 numbers>, scale=1," in repr(make_model(kernels, center=np.ones(6)))
    assert model.scale == (1.0,) * 6
    with pytest.raises(AttributeError):
        model.center = None
