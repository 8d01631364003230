"""Optimizers in a model: the same bits by steps and by epochs, on any threads, skipping or not."""

import copy
import pickle

import numpy as np
import pytest

from fastmlp import MLP, SGD, Adam, DataLoader, evaluate, kernels, reference, schedules, train_epoch
from fastmlp.config import ACTIVATIONS
from fastmlp.optimizers import Optimizer

SIZES, N, BATCH = (70, 65, 33, 10), 90, 32
OPTIMIZERS = {
    "plain": SGD(0.05),
    "penalties": SGD(0.05, l2=0.1, weight_decay=0.1),
    "factors": SGD(0.05, bias_lr=2.0, layer_lr=(1.0, 0.5, 0.25)),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True, l2=0.1),
    "adam": Adam(0.01),
    "adamw": Adam(0.01, weight_decay=0.1, bias_lr=0.5),
}
EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def data(seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.integers(0, 256, (N, SIZES[0])) * (rng.random((N, SIZES[0])) < 0.3)).astype(np.uint8)
    return X, rng.integers(SIZES[-1], size=N)


def make(dtype=np.float32, **options):
    return MLP(SIZES, scale=1 / 255, seed=1, dtype=dtype, **options)


def bits(model):
    kept = model.get_state()
    arrays = [*kept["weights"], *(a for row in kept["state"] for a in row), *(kept["average"] or [])]
    return kept["optimizer"], kept["steps"], b"".join(a.tobytes() for a in arrays)


def train(model, optimizer, epochs=2, **options):
    X, y = data()
    for _ in range(epochs):
        train_epoch(model, X, y, batch_size=BATCH, shuffle=False, optimizer=optimizer, **options)
    return bits(model)


@EVERY
@DTYPES
def test_steps_are_the_epoch_bit_by_bit(optimizer, dtype):
    X, y = data()
    by_epochs, by_steps = make(dtype), make(dtype)
    expected = train(by_epochs, optimizer)
    for start in [*range(0, N, BATCH)] * 2:
        now = slice(start, start + BATCH)
        by_steps.forward(X[now], y[now])
        by_steps.backward()
        by_steps.step(optimizer)
    assert bits(by_steps) == expected


@EVERY
@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_same_bits_whatever_the_threads_and_the_skipping(optimizer, ema, threads, monkeypatch):
    found = set()
    for n in (1, 2, 4):
        for skip in ("on", "off"):
            threads(n)
            monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
            found.add(train(make(), optimizer, ema=ema))
    assert len(found) == 1


@pytest.mark.parametrize("skip", ["on", "off"])
def test_more_threads_than_a_layer_has_rows_to_share(skip, threads, monkeypatch):
    """Then the thread of the biases is another than that of the first weights, at the same time."""
    monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((640, 16)).astype(np.float32), rng.integers(3, size=640)
    found = set()
    for n in (1, *[16, 7, 4] * 5):
        threads(n)
        model = MLP([16, 16, 200, 9, 3], seed=1)
        for _ in range(3):
            train_epoch(model, X, y, batch_size=16, shuffle=False, optimizer=Adam(0.01))
        found.add(bits(model))
    assert len(found) == 1


@EVERY
def test_the_reference_trains_alike(optimizer):
    models = [make(np.float64, ops=ops) for ops in (kernels, reference)]
    for model in models:
        train(model, optimizer, ema=0.5)
    for got, expected in zip(*(model.raw_weights() for model in models), strict=True):
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)


def by_formula(optimizer, gradient, w, steps):
    """Weights by the formulas in float64, with a rate that changes at every step."""
    v, m, square = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, steps + 1):
        lr = optimizer.lr(np.array([t - 1]), steps)[0]
        g = gradient(w) + optimizer.l2 / len(data()[0]) * w
        w = w * (1 - lr * optimizer.weight_decay)
        if isinstance(optimizer, Adam):
            m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * g
            square = optimizer.beta_2 * square + (1 - optimizer.beta_2) * g**2
            rate = lr * np.sqrt(1 - optimizer.beta_2**t) / (1 - optimizer.beta_1**t)
            w = w - rate * m / (np.sqrt(square) + optimizer.epsilon)
        else:
            v = optimizer.momentum * v - lr * g
            w = w + (optimizer.momentum * v - lr * g if optimizer.nesterov else v)
    return w


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(schedules.linear(0.5, 0.1), l2=0.01),
        SGD(schedules.linear(0.1, 0.01), momentum=0.9),
        SGD(schedules.linear(0.1, 0.01), momentum=0.9, nesterov=True),
        Adam(schedules.linear(0.01, 0.001)),
        Adam(schedules.linear(0.01, 0.001), weight_decay=0.1),
    ],
    ids=repr,
)
def test_two_hundred_steps_follow_the_formulas(optimizer):
    X, y = data()
    model = MLP([SIZES[0], SIZES[-1]], scale=1 / 255, seed=1, dtype=np.float64)
    x, one_hot = np.column_stack([X / 255, np.ones(N)]), np.eye(SIZES[-1])[y]

    def gradient(w):
        z = x @ w
        p = np.exp(z - z.max(axis=1, keepdims=True))
        return x.T @ (p / p.sum(axis=1, keepdims=True) - one_hot) / N

    w, b = model.get_weights()
    # biases have neither penalty nor decay: hold them still, in both
    still = type(optimizer)(**{**vars(optimizer), "bias_lr": 0.0})
    fixed = np.ones((SIZES[0] + 1, 1))
    fixed[-1] = 0
    expected = by_formula(still, lambda v: gradient(np.vstack([v, b]))[:-1], w, 200)
    for step in range(200):
        rates = schedules.rates(still, step, 1, 200)
        model.run_epoch(DataLoader(X, y, N), np.arange(N), rates, np.empty(1), still)
    got = model.get_weights()[0]
    assert np.linalg.norm(got - expected) <= 1e-9 * np.linalg.norm(expected)


def test_two_calls_are_one_and_a_changed_rate_goes_on():
    X, y = data()
    one, two = make(), make()
    train(one, Adam(0.01), epochs=4)
    train(two, Adam(0.01), epochs=2)
    train(two, Adam(0.01), epochs=2)
    assert bits(one) == bits(two)
    assert two.get_state()["steps"] == 12
    train(two, Adam(0.001), epochs=1)
    assert two.get_state()["steps"] == 15
    train(two, SGD(0.001, momentum=0.9), epochs=1)
    assert two.get_state()["optimizer"] == "momentum" and two.get_state()["steps"] == 3


def test_nesterov_goes_on_from_momentums_velocity():
    one = make()
    train(one, SGD(0.01, momentum=0.9), epochs=1)
    velocity = one.get_state()["state"][0][0].copy()
    train(one, SGD(0.0, momentum=0.5, nesterov=True), epochs=1)  # the velocity runs out
    assert np.allclose(one.get_state()["state"][0][0], velocity * 0.125, rtol=1e-5)


def test_a_reset_forgets():
    one, two = make(), make()
    train(one, Adam(0.01), epochs=1)
    two.set_weights(one.get_weights())
    one.reset_optimizer()
    assert train(one, Adam(0.01)) == train(two, Adam(0.01))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(0.01)], ids=repr)
def test_copies_train_on_to_the_same_bits(duplicate, optimizer):
    model = make()
    train(model, optimizer, ema=0.9)
    twin = duplicate(model)
    assert bits(twin) == bits(model)
    X, _ = data()
    assert twin.logits(X).tobytes() == model.logits(X).tobytes()
    assert train(twin, optimizer, ema=0.9) == train(model, optimizer, ema=0.9)


def test_an_average_is_what_inference_and_files_give(tmp_path):
    X, y = data()
    model, raw = make(), make()
    train(model, SGD(0.05), ema=np.float64(0.9))
    train(raw, SGD(0.05))
    assert b"".join(w.tobytes() for w in model.raw_weights()) == b"".join(
        w.tobytes() for w in raw.get_weights()
    )
    assert model.get_weights()[0].tobytes() != raw.get_weights()[0].tobytes()
    model.save(tmp_path / "m")
    loaded = MLP.load(tmp_path / "m")
    assert loaded.logits(X).tobytes() == model.logits(X).tobytes() != raw.logits(X).tobytes()
    assert evaluate(model, X, y) == evaluate(loaded, X, y)
    model.set_weights(model.get_weights())
    assert model.get_state()["average"] is None


def test_an_average_follows_its_formula():
    X, y = data()
    model = make(np.float64)
    average = [w.copy() for w in model.get_weights()]
    for _ in range(3):
        train_epoch(model, X, y, 0.1, batch_size=N, shuffle=False, ema=0.75)
        average = [0.75 * a + 0.25 * w for a, w in zip(average, model.raw_weights(), strict=True)]
    for got, expected in zip(model.get_weights(), average, strict=True):
        assert np.allclose(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"optimizer": "adam"}, "expected fastmlp.SGD"),
        ({"optimizer": SGD(layer_lr=[1.0])}, "layer_lr has 1 factors, expected 3"),
        ({"optimizer": Adam(epsilon=1e-60)}, "which is 0 in float32"),
        ({"optimizer": Adam(), "lr": 0.1}, "lr cannot be given with an optimizer"),
        ({"lr": lambda epoch: -0.5}, "lr is -0.5 at batch 0, expected a finite number from 0 up"),
        ({"lr": lambda steps, total: (0.1 + 0 * steps, 1.5 + 0 * steps)}, "momentum is 1.5"),
        ({"lr": lambda steps, total: 0.1}, r"of shape \(\), expected one for each of 1 steps"),
        ({"ema": 1.0}, "ema is 1.0, expected a decay between 0 and 1"),
        ({"ema": True}, "ema is True"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_lost(options, text):
    model = make()
    train(model, Adam(0.01), ema=0.5)
    before = bits(model)
    X, y = data()
    with pytest.raises(ValueError, match=text):
        train_epoch(model, X, y, **options)
    assert bits(model) == before


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"optimizer": "momentum"}, "state of 2 rows"),
        ({"steps": -1}, "steps is -1"),
        ({"average": [np.zeros(3)]}, "1 arrays of weights"),
        ({"weights": None}, "expected 6 arrays"),
    ],
)
def test_a_foreign_state_is_refused(change, text):
    model = make()
    train(model, Adam(0.01))
    before = bits(model)
    with pytest.raises(ValueError, match=text):
        model.set_state({**model.get_state(), **change})
    with pytest.raises(ValueError, match="lacks a key"):
        model.set_state({})
    assert bits(model) == before


def test_every_optimizer_is_here_and_the_twins_number_them_alike():
    assert kernels.optimizers.KINDS == reference.optimizers.KINDS
    assert {optimizer.kind for optimizer in OPTIMIZERS.values()} == {*kernels.optimizers.KINDS}
    assert {type(optimizer) for optimizer in OPTIMIZERS.values()} == {*Optimizer.__subclasses__()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_thousand_steps_keep_nothing(optimizer):
    import tracemalloc

    X, y = data()
    model = make()

    def step():
        model.forward(X, y)
        model.backward()
        model.step(optimizer)

    for _ in range(700):  # until Python's free lists are full
        step()
    tracemalloc.start()
    for _ in range(50):
        step()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        step()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 2048


# --- activations -----------------------------------------------------------------------------------------

ACTIVE = pytest.mark.parametrize("activation", ACTIVATIONS)


@ACTIVE
@DTYPES
def test_steps_are_the_epoch_with_every_activation(activation, dtype):
    X, y = data()
    by_epochs, by_steps = make(dtype, activation=activation), make(dtype, activation=activation)
    expected = train(by_epochs, SGD(0.05, momentum=0.5))
    for start in [*range(0, N, BATCH)] * 2:
        now = slice(start, start + BATCH)
        by_steps.forward(X[now], y[now])
        by_steps.backward()
        by_steps.step(SGD(0.05, momentum=0.5))
    assert bits(by_steps) == expected


@ACTIVE
def test_the_same_bits_with_every_activation(activation, threads, monkeypatch):
    found, X = set(), data()[0]
    for n in (1, 2, 4):
        for skip in ("on", "off"):
            threads(n)
            monkeypatch.setenv("FASTMLP_SKIP_ZEROS", skip)
            model = make(activation=(activation, "tanh"))
            found.add((train(model, SGD(0.05)), model.logits(X).tobytes()))
    assert len(found) == 1


@ACTIVE
def test_the_reference_trains_alike_with_every_activation(activation):
    models = [make(np.float64, ops=ops, activation=activation) for ops in (kernels, reference)]
    for model in models:
        train(model, Adam(0.01))
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert np.allclose(*(model.logits(data()[0]) for model in models), rtol=1e-9)


@ACTIVE
def test_gradients_are_those_of_the_loss(activation):
    """Central differences through the compiled model, in float64."""
    X, y = data()
    model = MLP([SIZES[0], 6, 5, SIZES[-1]], scale=1 / 255, seed=1, dtype=np.float64, activation=activation)
    start = model.get_weights()
    model.forward(X, y)
    model.backward()
    model.step(1.0)
    gradients = [w - moved for w, moved in zip(start, model.get_weights(), strict=True)]
    rng = np.random.default_rng(0)
    for i, gradient in enumerate(gradients):
        for j in rng.choice(gradient.size, min(8, gradient.size), replace=False):
            place = np.unravel_index(j, gradient.shape)
            losses = []
            for move in (1e-5, -1e-5):
                weights = [w.copy() for w in start]
                weights[i][place] += move
                model.set_weights(weights)
                losses.append(model.forward(X, y))
            slope = (losses[0] - losses[1]) / 2e-5
            assert abs(slope - gradient[place]) <= 1e-6 * max(abs(gradient).max(), 1e-3)
