"""Every public kernel against its twin in float64, on what Hypothesis draws."""

import numpy as np
import pytest
from bounds import (
    STEEPEST,
    adam,
    bound_of_slopes,
    bound_of_values,
    flushed,
    flushed_sums,
    gamma,
    logistic,
    magnitude,
    momentum,
    poisson,
    product,
    softmax,
    squared,
)
from drawn import ANYHOW, KINDS, Trial, assert_alike, cases, doubled, without_denormals
from hypothesis import given

from fastmlp import kernels, reference
from fastmlp.kernels.core import machine
from fastmlp.kernels.core import threads as regions
from fastmlp.reference.activations import ACTIVATIONS, KEEP_Z


@pytest.fixture(autouse=True, scope="module")
def _share_small_kernels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "CALL_WORK", 1)
        yield
    machine.set_num_threads(None)


def numbers_of(*arrays):
    """Copies in which what is not finite is 0, for a bound of what does not come from it."""
    return [np.nan_to_num(a, nan=0.0, posinf=0.0, neginf=0.0) for a in arrays]


def sums(x, w, b=0.0):
    """Bound of x @ w + b."""
    x, w, b = numbers_of(x, w, np.asarray(b))
    return product(x, w, b) + flushed_sums(x.shape[1], x.dtype)


# --- linear layers ---------------------------------------------------------------------------------------


def layer(trial):
    batch, n_in, n_out = trial.shape
    return trial.given(batch, n_in), trial.given(n_in, n_out), trial.given(n_out), trial.output(batch, n_out)


def linear_forward(trial, name="linear_forward"):
    x, w, b, y = layer(trial)
    getattr(kernels, name)(x, w, b, y)
    expected = np.empty(y.shape)
    getattr(reference, name)(*doubled(x, w, b), expected)
    assert_alike(y, expected, sums(x, w, b))


def linear_relu_forward(trial):
    linear_forward(trial, "linear_relu_forward")


def linear_activation_forward(trial):
    name, (x, w, b, y) = trial.rng.choice(ACTIVATIONS), layer(trial)
    z, expected_z, expected = trial.output(*y.shape), *np.empty((2, *y.shape))
    kernels.linear_activation_forward(x, w, b, name, z, y)
    reference.linear_activation_forward(*doubled(x, w, b), name, expected_z, expected)
    off = sums(x, w, b)
    if name in KEEP_Z:
        assert_alike(z, expected_z, off)
    values = bound_of_values(name, expected_z, expected, trial.dtype)
    assert_alike(y, expected, np.where(np.isfinite(expected), STEEPEST.get(name, 1) * off + values, 0))


def gradients(trial, backward, mask=lambda dy: dy, slope=0.0):
    """Call backward(ops, x, w, dy, dx, dw, db); `mask` gives dz of dy in float64, within `slope` of each."""
    batch, n_in, n_out = trial.shape
    x, w = trial.given(batch, n_in), trial.given(n_in, n_out)
    dy = trial.output(values=trial.values(batch, n_out))
    dx = trial.output(batch, n_in) if trial.rng.random() < 0.7 else None
    dw, db = trial.output(n_in, n_out), trial.output(n_out)
    before = dy.astype(np.float64)
    backward(x, w, dy, dx, dw, db)
    lost = flushed(trial.dtype) * (1 + max(STEEPEST.values()))  # of dz, and of dy times a slope
    assert_alike(dy, mask(before), slope * numbers_of(magnitude(before))[0] + lost)
    expected = [None if dx is None else np.empty(x.shape), np.empty(w.shape), np.empty(n_out)]
    reference.linear_backward(*doubled(x, w, dy), *expected)
    if dx is not None:
        assert_alike(dx, expected[0], sums(dy, w.T))
    assert_alike(dw, expected[1], sums(x.T, dy))
    assert_alike(db, expected[2], sums(np.ones((1, batch), trial.dtype), dy)[0])


def linear_backward(trial):
    gradients(trial, kernels.linear_backward)


def linear_relu_backward(trial):
    y = trial.given(trial.shape[0], trial.shape[2])
    gradients(
        trial,
        lambda x, w, dy, *outputs: kernels.linear_relu_backward(x, w, y, dy, *outputs),
        lambda dy: np.where(without_denormals(y) > 0, dy, 0),
    )


def linear_activation_backward(trial):
    name, shape = trial.rng.choice(ACTIVATIONS), (trial.shape[0], trial.shape[2])
    (z,) = numbers_of(trial.values(*shape))
    saved = z if name in KEEP_Z else reference.activations.activation(name, z).astype(trial.dtype)
    saved, nothing = trial.input(saved), np.full(shape, np.nan, trial.dtype)
    y, z = (nothing, saved) if name in KEEP_Z else (saved, nothing)
    gradients(
        trial,
        lambda x, w, dy, *outputs: kernels.linear_activation_backward(x, w, y, z, dy, name, *outputs),
        lambda dy: reference.activations.activation_gradient(name, *doubled(saved), dy),
        bound_of_slopes(name, saved, trial.dtype),
    )


def add_outer(trial):
    _, n_in, n_out = trial.shape
    shift, db = trial.given(n_in), trial.given(n_out)
    dw = trial.output(values=trial.values(n_in, n_out))
    (expected,) = doubled(dw)
    bound = sums(shift[:, None], db[None], dw)
    kernels.add_outer(dw, shift, db)
    reference.add_outer(expected, *doubled(shift, db))
    assert_alike(dw, expected, bound)


# --- losses ----------------------------------------------------------------------------------------------


def loss(trial, name, z, y, bounds, smoothed=None, **options):
    """Compare losses and gradients, rows with weights or without; `smoothed` is what y is taken for."""
    rng, (batch, n_out) = trial.rng, z.shape
    weights = None
    if rng.random() < 0.5:
        weights = rng.uniform(0.01, 3, batch) * (rng.random(batch) < rng.choice([0.0, 0.7, 1.0]))
        weights = trial.input(weights)
    z, y = trial.input(z), trial.input(y)
    dz, losses = trial.output(batch, n_out), trial.output(batch, dtype=np.float64)
    getattr(kernels, name)(z, y, dz, losses, weights, **options)
    expected, of_rows = np.empty(z.shape), np.empty(batch)
    getattr(reference, name)(*doubled(z), y, expected, of_rows, weights, **options)
    with np.errstate(all="ignore"):
        of_dz, of_losses = bounds(*numbers_of(without_denormals(z)), y if smoothed is None else smoothed)
    total = batch if weights is None else weights.sum()
    share = ((np.ones(batch) if weights is None else weights) / (total or 1))[:, None]
    of_dz = np.where(share > 0, of_dz * share, 0)
    rounded = gamma(batch + 3, trial.dtype) * magnitude(expected)
    assert_alike(dz, expected, of_dz + rounded + flushed(trial.dtype))
    assert_alike(losses, of_rows, of_losses)


def logits(trial, far=1e4):
    """Outputs, some of them far apart; what is not finite has its own tests."""
    z = trial.values(trial.shape[0], trial.shape[2], kind="far" if trial.kind == "not finite" else None)
    if trial.kind in ("far", "not finite"):
        return (np.sign(z) * trial.rng.uniform(far / 2, far, z.shape)).astype(trial.dtype)
    return z * trial.dtype.type(1 if trial.kind == "tiny" else 5)


def options_of(trial, evenly):
    """Smoothing, and a limit of the losses, of which there is none where labels are smoothed or rows."""
    smoothing = trial.rng.choice([0.0, 0.1, 1.0])
    return smoothing, lambda y: y * (1 - smoothing) + smoothing * evenly


def softmax_cross_entropy(trial):
    z, rng = logits(trial), trial.rng
    batch, n_classes = z.shape
    smoothing, smooth = options_of(trial, 1 / n_classes)
    if rng.random() < 0.5:
        y = rng.integers(n_classes, size=batch)
        rows = np.eye(n_classes)[y]
    else:
        y = rows = rng.dirichlet(np.ones(n_classes), batch)
    limit = rng.choice([np.inf, 0.5])
    name = "softmax_cross_entropy"
    loss(trial, name, z, y, softmax, smooth(rows), smoothing=smoothing, limit=limit)


def logistic_cross_entropy(trial):
    z, rng = logits(trial), trial.rng
    y = rng.choice([0.0, 1.0], z.shape) if rng.random() < 0.5 else rng.random(z.shape)
    smoothing, smooth = options_of(trial, 1 / 2)
    limit, name = rng.choice([np.inf, 0.5]), "logistic_cross_entropy"
    loss(trial, name, z, y, logistic, smooth(y), smoothing=smoothing, limit=limit)


def squared_error(trial):
    z = logits(trial, 1e9)
    loss(trial, "squared_error", z, trial.rng.standard_normal(z.shape) * 100, squared)


def poisson_deviance(trial):
    z = logits(trial)
    counts = trial.rng.poisson(2.0, z.shape) * trial.rng.choice([1.0, 0.5])
    loss(trial, "poisson_deviance", z, counts, poisson)


# --- steps -----------------------------------------------------------------------------------------------


def stepped(trial, n_kept=0):
    """Parameters and state to be stepped, their copies in float64, and a gradient; vectors are biases."""
    rng, shape = trial.rng, trial.shape[1:] if trial.rng.random() < 0.7 else trial.shape[2:]
    arrays = [trial.output(values=trial.values(*shape)) for _ in range(1 + n_kept)]
    if n_kept == 2:
        np.square(np.clip(arrays[2], -1e9, 1e9), out=arrays[2])
    return arrays, doubled(*arrays), trial.given(*shape), rng.choice([0.0, 0.3, 2.0])


def penalties(trial, dw, w):
    """l2 and weight decay, and |dw| + l2 |w|."""
    l2, weight_decay = trial.rng.choice([0.0, 0.01, 0.5]), trial.rng.choice([0.0, 0.1])
    dw, w = numbers_of(dw, w)
    return {"l2": l2, "weight_decay": weight_decay}, magnitude(dw) + l2 * magnitude(w)


def sgd_step(trial):
    (w,), (expected,), dw, lr = stepped(trial)
    options, g = penalties(trial, dw, w)
    bound = gamma(6, trial.dtype) * (magnitude(*numbers_of(w)) + lr * g) + 4 * flushed(trial.dtype)
    kernels.sgd_step(w, dw, lr, **options)
    reference.sgd_step(expected, *doubled(dw), lr, **options)
    assert_alike(w, expected, bound)


def momentum_step(trial):
    (w, v), (expected, velocity), dw, lr = stepped(trial, 1)
    options, g = penalties(trial, dw, w)
    factor, nesterov = trial.rng.choice([0.0, 0.5, 0.99]), bool(trial.rng.random() < 0.5)
    of_w, of_v = momentum(*numbers_of(w, v), g, lr, factor, trial.dtype)
    kernels.momentum_step(w, dw, v, lr, factor, nesterov, **options)
    reference.momentum_step(expected, *doubled(dw), velocity, lr, factor, nesterov, **options)
    assert_alike(v, velocity, of_v)
    assert_alike(w, expected, of_w)


def adam_step(trial):
    arrays, exact, dw, lr = stepped(trial, 2)
    options, g = penalties(trial, dw, arrays[0])
    numbers, count = (lr, *trial.rng.choice([(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)]), 1e-8), 1
    count = int(trial.rng.choice([1, 2, 7, 1000, 10**6]))
    start = numbers_of(*arrays)
    kernels.adam_step(arrays[0], dw, *arrays[1:], *numbers, count, **options)
    reference.adam_step(exact[0], *doubled(dw), *exact[1:], *numbers, count, **options)
    bounds = adam(start, numbers_of(*exact), g, numbers, count, trial.dtype)
    for got, expected, bound in zip(arrays, exact, bounds, strict=True):
        assert_alike(got, expected, bound)


def ema_step(trial):
    (average,), (expected,), w, _ = stepped(trial)
    decay = trial.rng.choice([0.0, 0.5, 0.999, 1.0])
    bound = gamma(4, trial.dtype) * sum(map(magnitude, numbers_of(average, w))) + 4 * flushed(trial.dtype)
    kernels.ema_step(average, w, decay)
    reference.ema_step(expected, *doubled(w), decay)
    assert_alike(average, expected, bound)


# --- to the last bit -------------------------------------------------------------------------------------


def dropout(trial):
    batch, _, n = trial.shape
    x = trial.given(batch, n)
    y, expected, rate = (
        trial.output(batch, n),
        np.empty((batch, n), trial.dtype),
        trial.rng.choice([0, 0.3, 0.9]),
    )
    place = [int(trial.rng.integers(2**62)) for _ in range(3)]
    kernels.dropout(x, y, rate, *place)
    reference.dropout(without_denormals(x), expected, rate, *place)
    assert np.array_equal(without_denormals(y), without_denormals(expected), equal_nan=True)


def data(trial, *kinds):
    """A data set of any layout: rows and columns, floats or bytes."""
    x = trial.values(*trial.shape[:2], kind=trial.rng.choice(kinds))
    if trial.rng.random() < 0.1:
        x.flat[trial.rng.integers(x.size)] = -0.0
    return x


def scan(trial):
    x = data(trial, *KINDS)
    if trial.rng.random() < 0.3:
        x = np.nan_to_num(x, nan=0, posinf=0, neginf=0).clip(0, 255).astype(np.uint8)
    x = trial.input(x, ANYHOW)
    assert kernels.scan(x) == reference.scan(x)


def zero_masks(trial):
    x = trial.input(data(trial, "sparse", "whole", "tiny", "not finite"), ANYHOW)
    masks = [np.full((len(x), -(-x.shape[1] // 64)), 7, np.uint64) for _ in range(2)]
    kernels.zero_masks(x, masks[0])
    reference.zero_masks(x, masks[1])
    assert np.array_equal(*masks)


def byte_codes(trial):
    x = trial.input(data(trial, "whole", "whole", "sparse", "equal"), ANYHOW)
    found = []
    for ops in kernels, reference:
        masks = np.full((len(x), -(-x.shape[1] // 64)), 7, np.uint64)
        codes, values = np.zeros(x.shape, np.uint8), np.zeros(256, x.dtype)
        found.append([ops.byte_codes(x, masks, codes, values), masks, codes, values])
    (made, *arrays), (expected, *others) = found
    assert made is expected
    for got, other in zip(arrays, others, strict=True) if made else [(arrays[0], others[0])]:
        assert np.array_equal(got, other)


# --- networks --------------------------------------------------------------------------------------------


def plan(trial):
    sizes = [*trial.shape, *trial.rng.integers(1, 70, trial.rng.integers(0, 3))]
    batch, dtype, rng = int(trial.rng.integers(1, 300)), trial.dtype, trial.rng
    given = list(rng.choice(ACTIVATIONS, len(sizes) - 2)), str(rng.choice(reference.losses.OUTPUTS))
    options = *given, tuple(rng.choice([0.0, 0.2, 0.999], 2)), bool(rng.random() < 0.5)
    (table, size), (twin, _) = (ops.plan(sizes, batch, dtype, *options) for ops in (kernels, reference))
    names = ["n_in", "n_out", "activation", "output", "drop"]
    assert table[names].tolist() == twin[names].tolist()
    ends = [(0, 0)]
    for row in table:
        n_panels = -(-row["n_out"] // row["w_row"])
        wide = (row["w"], n_panels * row["n_in"] * row["w_row"]), (row["b"], row["n_out"])
        ends += [(first, first + length) for first, length in wide]
    pieces = {
        (row[name], row[name] + batch * row[f"{name[-1]}_row"]) for row in table for name in ("x", "y", "dy")
    }
    ends = sorted(ends) + sorted(pieces)  # a layer's y is the next one's x
    assert all(end <= begin for (_, end), (begin, _) in zip(ends, ends[1:], strict=False))
    assert ends[-1][1] <= size and all(table["w"] * dtype.itemsize % 64 == 0)


ELSEWHERE = {"infer", "train_epoch"}  # test_epoch_drawn.py
CHECKS = [name for name in kernels.__all__ if name not in ELSEWHERE]


@pytest.mark.parametrize("name", CHECKS)
@given(case=cases())
def test_a_kernel_is_its_twin(name, case):
    trial = Trial(case)
    machine.set_num_threads(case.threads)
    with np.errstate(all="ignore"):  # of what is not finite
        globals()[name](trial)
    trial.assert_nothing_else_changed()
