"""Losses where numbers are many, few, alike, far apart or too small: what comes out, to the digit."""

import math

import numpy as np
import pytest
from bounds import assert_within, flushed, gamma, logistic, poisson, softmax, squared

from fastmlp import kernels, reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOUNDS = {
    "softmax_cross_entropy": softmax,
    "logistic_cross_entropy": logistic,
    "squared_error": squared,
    "poisson_deviance": poisson,
}
NAMES = pytest.mark.parametrize("name", BOUNDS)


def call(name, z, y, *options, ops=kernels):
    dz, losses = np.full_like(z, np.nan), np.full(len(z), np.nan)
    getattr(ops, name)(z, y, dz, losses, *options)
    return dz, losses


def targets(name, rng, shape):
    if name.startswith("softmax"):
        return rng.dirichlet(np.ones(shape[1]), shape[0])
    return rng.poisson(2.0, shape).astype(float) if name.startswith("poisson") else rng.random(shape)


@NAMES
@DTYPES
def test_gradients_of_60_000_rows_are_divided_once(name, dtype):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((60_000, 10)).astype(dtype)
    y = targets(name, rng, z.shape)
    dz, losses = call(name, z, y)
    expected, of_rows = call(name, z.astype(np.float64), y, ops=reference)
    of_dz, of_losses = BOUNDS[name](z, y)
    # the number of rows is exact in float32, so that a row is off as in a batch of one, and by a division
    assert_within(dz, expected, of_dz / 60_000 + gamma(2, dtype) * np.abs(expected) + flushed(dtype))
    assert_within(losses, of_rows, of_losses)
    # a mean in float32 would have four digits; one after the other in float64 it has eleven
    mean, exact = np.add.accumulate(losses)[-1] / 60_000, math.fsum(of_rows) / 60_000
    size = math.fsum(np.abs(of_rows) + of_losses) / 60_000
    assert abs(mean - exact) <= of_losses.mean() + gamma(60_000, np.float64) * size


@NAMES
@DTYPES
def test_outputs_of_10_000_both_ways_are_within_their_bounds(name, dtype):
    rng = np.random.default_rng(1)
    z = (rng.choice([-1e4, 1e4, 0], (64, 7)) + rng.standard_normal((64, 7))).astype(dtype)
    if name.startswith("poisson"):
        z = np.minimum(z, dtype(5))  # a mean of exp(1e4) is infinite, and so is its loss
    y = targets(name, rng, z.shape)
    dz, losses = call(name, z, y)
    expected, of_rows = call(name, z.astype(np.float64), y, ops=reference)
    of_dz, of_losses = BOUNDS[name](z, y)
    assert np.isfinite(dz).all() and np.isfinite(losses).all()
    assert_within(dz, expected, of_dz / 64 + gamma(2, dtype) * np.abs(expected) + flushed(dtype))
    assert_within(losses, of_rows, of_losses)


@NAMES
@DTYPES
def test_denormal_outputs_count_as_zeros(name, dtype):
    z = np.full((4, 3), np.finfo(dtype).smallest_subnormal)
    y = targets(name, np.random.default_rng(2), z.shape)
    for sign in (dtype(1), dtype(-1)):
        for got, expected in zip(call(name, sign * z, y), call(name, np.zeros_like(z), y), strict=True):
            assert np.array_equal(got, expected)


@DTYPES
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4, 3e38, -3e38])
@pytest.mark.parametrize("n_classes", [2, 8, 1000])
def test_logits_that_are_all_equal_make_all_classes_alike(n_classes, value, dtype):
    z, y = np.full((4, n_classes), value, dtype), np.array([0, 1, 0, 1])
    dz, losses = call("softmax_cross_entropy", z, y)
    # eight digits and more, whatever the size of the logits: they are subtracted from each other first
    assert np.all(np.abs(losses - np.log(n_classes)) <= 4 * np.finfo(np.float64).eps * np.log(n_classes))
    expected = (1 / n_classes - np.eye(n_classes)[y]) / 4
    assert_within(dz, expected, gamma(3, dtype) * np.abs(expected))


@DTYPES
@pytest.mark.parametrize("value", [0.0, 1.0, -1e4, 3e38])
def test_a_single_class_costs_nothing_and_teaches_nothing(value, dtype):
    z = np.full((3, 1), value, dtype)
    for y in (np.zeros(3, np.int64), np.ones((3, 1))):
        for options in ((), (None, 0.3), (np.array([1.0, 0.0, 2.0]),)):
            dz, losses = call("softmax_cross_entropy", z, y, *options)
            assert not losses.any() and not dz.any()


@NAMES
@DTYPES
def test_rows_whose_weights_are_all_0_have_losses_and_no_gradient(name, dtype):
    rng = np.random.default_rng(3)
    z = rng.standard_normal((5, 4)).astype(dtype)
    y = targets(name, rng, z.shape)
    dz, losses = call(name, z, y, np.zeros(5))
    assert np.array_equal(losses, call(name, z, y)[1]) and losses.any()
    assert not dz.any()


@NAMES
@DTYPES
def test_a_batch_of_one_has_the_bits_of_its_row(name, dtype):
    rng = np.random.default_rng(4)
    z = rng.standard_normal((4, 9)).astype(dtype)
    y = targets(name, rng, z.shape)
    dz, losses = call(name, z, y)
    for row in range(4):
        one, loss = call(name, z[row : row + 1], y[row : row + 1])
        assert loss[0] == losses[row]
        assert np.array_equal(one[0] / dtype(4), dz[row])  # a power of 2 divides without rounding
