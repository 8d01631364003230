"""Steps in place: on every shape, within their bounds, rounded once where that is said."""

import math

import numpy as np
import pytest
from bounds import assert_margins_untouched, assert_within, framed, framed_output, gamma, step, unit

from fastmlp import kernels, reference
from fastmlp.kernels.core import matrix
from fastmlp.kernels.core.jit import callable_kernel
from fastmlp.kernels.optimizers import sum_squares

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@DTYPES
@pytest.mark.parametrize("shape", [(1,), (7,), (33,), (1, 1), (3, 5), (8, 16), (9, 17), (784, 128)], ids=str)
def test_sgd_step(shape, dtype):
    rng = np.random.default_rng(shape)
    w, dw = framed_output(rng.standard_normal(shape), dtype), framed(rng.standard_normal(shape), dtype)
    lr, kept = dtype(0.3), dw.copy()
    expected = w - float(lr) * dw.astype(np.float64)
    kernels.sgd_step(w, dw, lr)
    assert_within(w, expected, step(expected, lr, dw, dtype=dtype))
    assert_margins_untouched(w)
    assert np.array_equal(dw, kept)


def test_sgd_step_rounds_once():
    w, dw = np.float32([1 + 2**-12]), np.float32([1 + 2**-12])
    kernels.sgd_step(w, dw, np.float32(1 + 2**-12))
    assert w[0] == np.float32(-(2.0**-12) - 2.0**-24)


SHAPES = pytest.mark.parametrize("shape", [(1,), (33,), (1, 1), (9, 17), (784, 128)], ids=str)
PENALTIES = pytest.mark.parametrize(("l2", "weight_decay"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.25), (0.1, 0.2)])


def drawn(shape, dtype, n_kept):
    """Weights, gradients of their sign, so that the penalty cancels nothing, and positive state."""
    rng = np.random.default_rng(shape)
    w = framed_output(rng.standard_normal(shape), dtype)
    dw = framed(np.copysign(rng.standard_normal(shape), w), dtype)
    return w, dw, [framed_output(rng.random(shape), dtype) for _ in range(n_kept)]


def compare(name, arrays, *numbers, **penalties):
    """Step by the kernel, and by the reference in float64 from the same numbers."""
    exact = [array.astype(np.float64) for array in arrays]
    kept = arrays[1].copy()
    getattr(kernels, name)(*arrays, *numbers, **penalties)
    getattr(reference, name)(*exact, *numbers, **penalties)
    assert np.array_equal(arrays[1], kept)
    return exact


@DTYPES
@SHAPES
@PENALTIES
def test_sgd_step_with_penalties(shape, l2, weight_decay, dtype):
    w, dw, _ = drawn(shape, dtype, 0)
    bound = np.abs(w) + 0.3 * (np.abs(dw) + l2 * np.abs(w))
    expected, _ = compare("sgd_step", [w, dw], 0.3, l2=l2, weight_decay=weight_decay)
    assert_within(w, expected, gamma(6, dtype) * bound)  # three numbers, and g, the product and the sum
    assert_margins_untouched(w)


@DTYPES
@SHAPES
@PENALTIES
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_step(shape, l2, weight_decay, nesterov, dtype):
    w, dw, (v,) = drawn(shape, dtype, 1)
    push = 0.3 * (np.abs(dw) + l2 * np.abs(w))
    of_v = np.abs(v) + push
    bound = np.abs(w) + (of_v + push if nesterov else of_v)
    numbers = 0.3, 0.9, nesterov
    expected, _, velocity = compare("momentum_step", [w, dw, v], *numbers, l2=l2, weight_decay=weight_decay)
    assert_within(v, velocity, gamma(7, dtype) * of_v)  # three numbers, g, lr g, the product and the sum
    assert_within(w, expected, gamma(11, dtype) * bound)
    assert_margins_untouched(w)
    assert_margins_untouched(v)


@DTYPES
@SHAPES
@PENALTIES
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_adam_step(shape, l2, weight_decay, count, dtype):
    w, dw, (m, v) = drawn(shape, dtype, 2)
    g = np.abs(dw) + l2 * np.abs(w)
    of_m, rate = 0.9 * m + 0.1 * g, 0.3 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    start, numbers = np.abs(w), (0.3, 0.9, 0.999, 1e-8, count)
    expected, _, mean, square = compare(
        "adam_step", [w, dw, m, v], *numbers, l2=l2, weight_decay=weight_decay
    )
    assert_within(m, mean, gamma(7, dtype) * of_m)
    assert_within(v, square, gamma(11, dtype) * square)  # g and its number twice, and no term cancels another
    push = rate * of_m / (np.sqrt(square) + 1e-8)
    # m, half of v's and the root's, two of the rate, product, quotient, epsilon, the sum and the decay
    assert_within(w, expected, gamma(22, dtype) * (start + push))
    for array in (w, m, v):
        assert_margins_untouched(array)


@DTYPES
@SHAPES
def test_ema_step(shape, dtype):
    average, w, _ = drawn(shape, dtype, 0)
    start = np.abs(average)
    expected, _ = compare("ema_step", [average, w], 0.9)
    assert_within(average, expected, gamma(4, dtype) * (start + np.abs(w)))
    assert_margins_untouched(average)


def test_what_has_no_gradient_moves_where_its_state_says_so():
    w, dw, v = np.float32([1, 1]), np.float32([0, 0]), np.float32([0.5, 0])
    kernels.momentum_step(w, dw, v, 0.1, 0.5)
    assert w.tolist() == [1.25, 1] and v.tolist() == [0.25, 0]
    m, square = np.float32([0.5, 0]), np.float32([0.25, 0])
    kernels.adam_step(w, dw, m, square, 0.1, 0.5, 0.5, 1e-8, 3)
    assert w[0] < 1.25 and w[1] == 1


def test_a_rate_of_zero_moves_nothing_but_lets_a_velocity_run_out():
    w, dw, v = np.float32([1]), np.float32([3]), np.float32([0.5])
    kernels.sgd_step(w, dw, 0.0, weight_decay=0.5)
    kernels.adam_step(w, dw, np.zeros_like(w), np.zeros_like(w), 0.0, 0.9, 0.999, 1e-8, 1)
    assert w == 1
    kernels.momentum_step(w, dw, v, 0.0, 0.5)
    assert w == 1.25 and v == 0.25


@pytest.mark.parametrize("ops", [kernels, reference], ids=["kernels", "reference"])
def test_a_weight_gone_to_infinity_stays_there_and_leaves_its_state_alone(ops):
    w, dw = np.float32([np.inf, -np.inf, 1]), np.float32([1, 1, 1])
    for decay in (0.0, 0.5):
        plain, pushed, adapted, v, m, square = (np.copy(a) for a in (w, w, w, *np.zeros((3, 3), np.float32)))
        ops.sgd_step(plain, dw, 0.5, weight_decay=decay)
        ops.momentum_step(pushed, dw, v, 0.5, 0.5, weight_decay=decay)
        ops.adam_step(adapted, dw, m, square, 0.5, 0.5, 0.5, 1e-8, 1, weight_decay=decay)
        for moved in (plain, pushed, adapted):
            assert moved[:2].tolist() == [np.inf, -np.inf] and np.isfinite(moved[2])
        assert [v.tolist(), m.tolist(), square.tolist()] == [[-0.5] * 3, [0.5] * 3, [0.5] * 3]


@callable_kernel
def _sum_squares(w):
    return sum_squares(matrix.rows_of(w, 0), *w.shape)


@DTYPES
@pytest.mark.parametrize("shape", [(1, 8), (3, 16), (8, 64), (8, 112), (7, 128)], ids=str)
def test_sum_of_squares_in_float64(shape, dtype):
    rng = np.random.default_rng(shape)
    w = framed(rng.standard_normal(shape) * 10.0 ** rng.integers(-15, 15, shape), dtype)
    expected = math.fsum(float(number) ** 2 for number in w.flat)
    # a chain of the rows, the columns eight at a time, three halvings; and the square that `expected` rounds
    roundings = shape[0] + shape[1] // 8 + 3 + 1
    assert abs(_sum_squares(w) - expected) <= roundings * unit(np.float64) / (1 - 1e-9) * expected


@DTYPES
def test_sum_of_squares_overflows_no_sooner_than_float64_does_and_keeps_nan(dtype):
    w = np.zeros((8, 16), dtype)
    w[7, 15] = 1e30 if dtype == np.float32 else 1e150
    assert _sum_squares(w) == float(w[7, 15]) ** 2
    w[3, 9] = np.nan
    assert np.isnan(_sum_squares(w))
