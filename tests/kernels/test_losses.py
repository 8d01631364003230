"""Softmax and cross-entropy in one pass against the float64 reference."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from bounds import (
    assert_margins_untouched,
    assert_within,
    flushed,
    framed,
    framed_output,
    gamma,
    logistic,
    poisson,
    softmax,
    squared,
)
from trees import python

from fastmlp import kernels, reference

SHAPES = [
    (1, 1),
    (1, 2),
    (2, 3),
    (3, 7),
    (5, 8),
    (4, 15),
    (5, 16),
    (3, 17),
    (7, 31),
    (2, 33),
    (128, 10),
    (9, 1000),
]
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def one_hot(labels, n_classes):
    return np.eye(n_classes)[labels]


def call(ops, logits, labels):
    dlogits, losses = np.full_like(logits, np.nan), np.full(len(logits), np.nan)
    ops.softmax_cross_entropy(logits, labels, dlogits, losses)
    return dlogits, losses


@DTYPES
@pytest.mark.parametrize("kind", ["integers", "rows"])
@pytest.mark.parametrize("spread", [1, 10, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax_cross_entropy(shape, spread, kind, dtype):
    batch, n_classes = shape
    rng = np.random.default_rng([batch, n_classes])
    logits = framed(rng.uniform(-spread, spread, shape), dtype)
    integers = rng.integers(n_classes, size=batch)
    labels = integers if kind == "integers" else framed(rng.dirichlet(np.ones(n_classes), batch))
    y = one_hot(integers, n_classes) if kind == "integers" else labels
    kept, kept_labels = logits.copy(), labels.copy()
    dlogits, losses = framed_output(shape, dtype), framed_output(batch, np.float64)
    kernels.softmax_cross_entropy(logits, labels, dlogits, losses)
    expected, expected_losses = call(reference, logits.astype(np.float64), labels)
    of_dlogits, of_losses = softmax(logits, y)
    assert_within(dlogits, expected, of_dlogits / batch + flushed(dtype))
    assert_within(losses, expected_losses, of_losses)
    assert_margins_untouched(dlogits, losses)
    assert np.array_equal(logits, kept) and np.array_equal(labels, kept_labels)


@DTYPES
def test_the_gradient_is_of_the_mean_over_the_batch(dtype):
    dlogits, losses = call(kernels, np.zeros((4, 2), dtype), np.array([0, 1, 1, 0]))
    assert dlogits.tolist() == [[-0.125, 0.125], [0.125, -0.125], [0.125, -0.125], [-0.125, 0.125]]
    assert losses == pytest.approx(np.log(2), rel=1e-15)


@pytest.mark.parametrize("ops", [kernels, reference])
def test_small_losses_are_no_zeros(ops):
    logits, labels = np.array([[0, -23], [50, 30]], np.float32), np.array([0, 0])
    for given in labels, np.eye(2)[labels]:
        dlogits, losses = call(ops, logits, given)
        assert losses == pytest.approx(np.log1p(np.exp([-23.0, -20.0])), rel=2e-6, abs=0)


@pytest.mark.parametrize("ops", [kernels, reference])
def test_more_classes_than_float32_can_count_by_ones(ops):
    n = 2**24 + 2**20
    dlogits, losses = call(ops, np.zeros((1, n), np.float32), np.array([n - 1]))
    assert losses[0] == pytest.approx(np.log(n), rel=1e-12) and dlogits[0, 0] == np.float32(1 / n)


@DTYPES
def test_every_label_names_its_own_class(dtype):
    dlogits, losses = call(kernels, np.diag(np.full(17, 50, dtype)), np.arange(17))
    assert np.all(losses < 1e-15)
    assert np.all(np.abs(dlogits) < 1e-15)


@DTYPES
def test_logits_far_apart_neither_overflow_nor_clip(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype)
    dlogits, losses = call(kernels, logits, np.array([1, 2]))
    assert losses[0] == 2e4
    assert losses[1] == pytest.approx(np.log(3), rel=1e-7)
    assert dlogits[0].tolist() == [0.5, -0.5, 0]


@DTYPES
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5, 18])
def test_a_row_that_is_not_finite_stays_alone(dtype, bad, place):
    logits = np.zeros((3, 19), dtype)
    logits[1, place] = bad
    for labels in np.array([1, 2, 3]), one_hot([1, 2, 3], 19):
        dlogits, losses = call(kernels, logits, labels)
        assert np.isnan(losses).tolist() == [False, True, False]
        assert np.isnan(dlogits[1]).all() and np.isfinite(dlogits[[0, 2]]).all()


@DTYPES
def test_a_class_of_no_weight_may_be_impossible(dtype):
    logits = np.array([[0.0, -np.inf, 1.0]], dtype)
    dlogits, losses = call(kernels, logits, np.array([[0.25, 0.0, 0.75]]))
    p = 1 / (1 + np.exp([1.0, -1.0]))
    assert losses[0] == pytest.approx(-0.25 * np.log(p[0]) - 0.75 * np.log(p[1]), rel=1e-6)
    assert dlogits[0, 1] == 0
    assert call(kernels, logits, np.array([1]))[1].tolist() == [np.inf]


@DTYPES
def test_integers_of_any_stride_and_their_one_hot_rows_give_the_same_bits(dtype):
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((40, 21)).astype(dtype), rng.integers(21, size=80)[::2]
    results = [call(kernels, logits, y) for y in (labels, labels.copy(), one_hot(labels, 21))]
    assert len({dlogits.tobytes() + losses.tobytes() for dlogits, losses in results}) == 1


# --- of any output: weights of rows, smoothing ------------------------------------------------------------


def draw_softmax(rng, shape):
    return rng.uniform(-10, 10, shape), rng.dirichlet(np.ones(shape[1]), shape[0])


def draw_logistic(rng, shape):
    y = rng.random(shape)
    y[::2] = y[::2] > 0.5
    return rng.choice([1, 30, 1e4], shape) * rng.uniform(-1, 1, shape), y


def draw_squared(rng, shape):
    return rng.uniform(-100, 100, shape), rng.uniform(-100, 100, shape)


def draw_poisson(rng, shape):
    return rng.uniform(-20, 20, shape), rng.integers(0, 3, shape) * rng.random(shape) * 50


LOSSES = {
    "softmax_cross_entropy": (draw_softmax, softmax),
    "logistic_cross_entropy": (draw_logistic, logistic),
    "squared_error": (draw_squared, squared),
    "poisson_deviance": (draw_poisson, poisson),
}
NAMES = pytest.mark.parametrize("name", list(LOSSES))


def call_loss(ops, name, z, y, *options):
    dz, losses = np.full_like(z, np.nan), np.full(len(z), np.nan)
    getattr(ops, name)(z, y, dz, losses, *options)
    return dz, losses


@DTYPES
@NAMES
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_losses_and_gradients(name, shape, weighted, dtype):
    draw, bounds = LOSSES[name]
    rng = np.random.default_rng(shape)
    z, y = draw(rng, shape)
    z, y = framed(z, dtype), framed(y)
    weights = framed(rng.random(len(z)) + 0.01) if weighted else None
    dz, losses = framed_output(shape, dtype), framed_output(len(z), np.float64)
    getattr(kernels, name)(z, y, dz, losses, weights)
    expected, expected_losses = call_loss(reference, name, z.astype(np.float64), y, weights)
    share = (np.ones(len(z)) / len(z) if weights is None else weights / weights.sum())[:, None]
    of_dz, of_losses = bounds(z, y)
    rounded = gamma(len(z) + 3, dtype) * np.abs(expected)
    assert_within(dz, expected, of_dz * share + rounded + flushed(dtype))
    assert_within(losses, expected_losses, of_losses)
    assert_margins_untouched(dz, losses)


@DTYPES
@NAMES
def test_weight_2_is_the_row_twice_and_weight_0_the_row_left_out(name, dtype):
    z, y = LOSSES[name][0](np.random.default_rng(0), (9, 5))
    z, weights = z.astype(dtype), np.array([1, 2, 0, 1, 3, 0, 1, 2, 1.0])
    often = np.repeat(np.arange(9), weights.astype(int))
    dz, losses = call_loss(kernels, name, z, y, weights)
    of_each, losses_of_each = call_loss(kernels, name, z[often], y[often])
    # a row's part of the sum, and the row of weight 2 divided by half of it
    assert np.array_equal(losses[often], losses_of_each)
    assert np.allclose(dz[often], of_each * weights[often][:, None], rtol=2 * gamma(2, dtype), atol=0)
    assert not dz[weights == 0].any()


@DTYPES
@NAMES
def test_weights_of_1_give_the_bits_of_none(name, dtype):
    z, y = LOSSES[name][0](np.random.default_rng(1), (7, 3))
    results = [call_loss(kernels, name, z.astype(dtype), y, w) for w in (None, np.ones(7))]
    assert len({dz.tobytes() + losses.tobytes() for dz, losses in results}) == 1


@NAMES
@pytest.mark.parametrize("ops", [kernels, reference], ids=["kernels", "reference"])
def test_a_row_of_weight_0_moves_nothing_whatever_it_holds(name, ops):
    z, y = LOSSES[name][0](np.random.default_rng(2), (4, 3))
    z[1] = np.nan
    assert np.isfinite(call_loss(ops, name, z, y, np.array([1, 0, 2, 1.0]))[0]).all()
    assert not call_loss(ops, name, z, y, np.zeros(4))[0].any()


@DTYPES
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "logistic_cross_entropy"])
def test_smoothing_is_of_the_labels(name, dtype):
    z, y = LOSSES[name][0](np.random.default_rng(3), (6, 4))
    z = z.astype(dtype)
    even = 1 / 4 if name.startswith("softmax") else 1 / 2
    got = call_loss(kernels, name, z, y, None, 0.3)
    expected = call_loss(kernels, name, z, y * 0.7 + 0.3 * even)
    for ours, theirs in zip(got, expected, strict=True):
        assert np.allclose(ours, theirs, rtol=8 * gamma(1, dtype), atol=gamma(1, dtype))


@DTYPES
def test_smoothed_integers_have_the_bits_of_their_smoothed_rows(dtype):
    rng = np.random.default_rng(4)
    z, labels = rng.standard_normal((20, 10)).astype(dtype), rng.integers(10, size=20)
    results = [
        call_loss(kernels, "softmax_cross_entropy", z, y, None, 0.1) for y in (labels, one_hot(labels, 10))
    ]
    assert len({dz.tobytes() + losses.tobytes() for dz, losses in results}) == 1


@DTYPES
def test_logistic_units_far_apart_are_exact(dtype):
    z = np.array([[1e4, -1e4, 1e4, -1e4, 0.0]], dtype)
    y = np.array([[1.0, 0.0, 0.0, 1.0, 0.5]])
    dz, losses = call_loss(kernels, "logistic_cross_entropy", z, y)
    assert losses[0] == pytest.approx(2e4 + np.log(2), rel=1e-7)
    assert dz[0].tolist() == [0, 0, 1, -1, 0]


@DTYPES
def test_a_confident_unit_keeps_its_digits(dtype):
    z = np.array([[40.0], [-40.0]], dtype)
    dz, losses = call_loss(kernels, "logistic_cross_entropy", z, np.array([[1.0], [0.0]]))
    assert losses == pytest.approx(np.exp(-40), rel=1e-5 if dtype == np.float32 else 1e-13)
    assert dz.ravel() == pytest.approx([-np.exp(-40) / 2, np.exp(-40) / 2], rel=1e-5)


@DTYPES
def test_a_deviance_is_0_at_its_least_and_infinite_where_the_mean_is(dtype):
    y = np.array([[0.0], [1.0], [3.0], [2.0]])
    z = np.array([[-np.inf], [0.0], [np.log(3)], [1e3]], dtype)
    dz, losses = call_loss(kernels, "poisson_deviance", z, y)
    assert losses[:3] == pytest.approx(0, abs=1e-12) and losses[3] == np.inf
    assert dz[:2].ravel().tolist() == [0, 0]
    assert call_loss(kernels, "poisson_deviance", np.zeros((1, 1), dtype), np.array([[5e-324]]))[1] == [1.0]


@DTYPES
@NAMES
def test_nan_stays_nan(name, dtype):
    z, y = LOSSES[name][0](np.random.default_rng(5), (3, 19))
    z[1, 18] = np.nan
    dz, losses = call_loss(kernels, name, z.astype(dtype), y)
    assert np.isnan(losses).tolist() == [False, True, False] and np.isnan(dz[1, 18])
    assert np.isfinite(dz[[0, 2]]).all()


# --- bits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_out", [1, 7, 8, 9, 31, 100])
def test_a_loss_is_the_sum_of_eight_chains(n_out):
    z, y = draw_squared(np.random.default_rng(6), (3, n_out))
    terms = np.zeros((3, -(-n_out // 8) * 8))
    terms[:, :n_out] = 0.5 * (z - y) * (z - y)
    chains = np.zeros((3, 8))
    for c in range(0, n_out, 8):
        chains += terms[:, c : c + 8]
    halves = chains[:, :4] + chains[:, 4:]
    expected = (halves[:, 0] + halves[:, 2]) + (halves[:, 1] + halves[:, 3])
    assert call_loss(kernels, "squared_error", z, y)[1].tolist() == expected.tolist()


@DTYPES
@NAMES
@pytest.mark.parametrize("place", [0, 7, 8, 18])
def test_what_is_not_finite_is_so_in_the_twin(name, place, dtype):
    z, y = LOSSES[name][0](np.random.default_rng(8), (6, 19))
    z[:, place] = [np.inf, -np.inf, np.nan, 1e30, -1e30, 800]
    for label in (0.0, 0.5, 1.0):
        y[:, place] = label
        pairs = zip(*(call_loss(ops, name, z.astype(dtype), y) for ops in (kernels, reference)), strict=True)
        for got, expected in pairs:
            assert np.array_equal(np.isnan(got), np.isnan(expected))
            assert np.array_equal(np.isinf(got) * got, np.isinf(expected) * expected, equal_nan=True)


def test_a_count_beyond_the_dtype_is_an_infinite_loss_and_a_nan_beside_it_stays():
    z, y = np.zeros((2, 9), np.float32), np.ones((2, 9))
    y[:, 1] = 1e39
    z[1, 8] = np.nan
    dz, losses = call_loss(kernels, "poisson_deviance", z, y)
    assert losses[0] == np.inf and np.isnan(losses[1])
    assert dz[:, 1].tolist() == [-np.inf, -np.inf]


WIDTHS = """
import hashlib, itertools, sys
import numpy as np
sys.path.append(sys.argv[1])
from test_losses import LOSSES, call_loss, kernels

kernels.core.threads.CALL_WORK = 1
found = hashlib.sha256()
for name, dtype, n_out in itertools.product(LOSSES, (np.float32, np.float64), (1, 8, 37)):
    rng = np.random.default_rng(n_out)
    z, y = LOSSES[name][0](rng, (20, n_out))
    options = [(), (rng.random(20),)]
    if name.endswith("entropy"):
        options += [(None, 0.1)]
    labels = [y, rng.integers(n_out, size=20)] if name.startswith("softmax") else [y]
    for label, given in itertools.product(labels, options):
        for result in call_loss(kernels, name, z.astype(dtype), label, *given):
            found.update(result.tobytes())
print(found.hexdigest())
"""


def test_neither_the_width_of_vectors_nor_threads_change_a_bit():
    def run(width, threads):
        here = str(Path(__file__).parent)
        return python("-c", WIDTHS, here, FASTMLP_VECTOR_BYTES=width, FASTMLP_NUM_THREADS=threads)

    with ThreadPoolExecutor() as pool:
        children = list(pool.map(run, ("64", "32", "16"), ("1", "3", "2")))
    assert [child.returncode for child in children] == [0, 0, 0], [child.stderr for child in children]
    assert len({child.stdout for child in children}) == 1


@DTYPES
def test_a_limit_is_the_most_that_a_loss_is_told_as(ops, dtype):
    z = np.array([[0, 60, 0], [1, 0, 0], [0, -np.inf, 0], [np.nan, 0, 0]], dtype)
    labels, targets = np.array([0, 0, 1, 0]), np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 0]], float)
    for loss, y in ((ops.softmax_cross_entropy, labels), (ops.logistic_cross_entropy, targets)):
        plain, limited = np.empty((2, 4))
        gradients = np.empty((2, *z.shape), dtype)
        loss(z, y, gradients[0], plain)
        loss(z, y, gradients[1], limited, limit=5.0)
        assert np.array_equal(*gradients, equal_nan=True)
        assert np.isnan(limited[3]) and np.isnan(plain[3])
        if loss is ops.softmax_cross_entropy:
            assert np.array_equal(limited[:3], np.minimum(plain[:3], 5)) and plain[2] == np.inf
        else:  # a unit at a time
            rest = np.log1p(np.exp(np.array([-0.0, -0.0, -1.0])))
            expected = [rest[0] + 5 + rest[1], rest[2] + 2 * rest[0], 2 * rest[0] + 5]
            np.testing.assert_allclose(limited[:3], expected, rtol=8 * np.finfo(dtype).eps)
