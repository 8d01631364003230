"""The elementary functions, within their stated bounds."""

import numpy as np
import pytest
from bounds import unit

from fastmlp.kernels.core import math, matrix, simd
from fastmlp.kernels.core.jit import kernel

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@kernel
def _exp(x, y):
    start, target = matrix.address(x, 0, 0), matrix.address(y, 0, 0)
    for i in range(0, x.size, simd.lanes(start)):
        simd.store(
            math.exp(simd.load(matrix.offset(start, i), x.size - i)), matrix.offset(target, i), x.size - i
        )


def exp(x):
    y = np.full_like(x, np.nan)
    _exp(x, y)
    return y


@DTYPES
def test_exp_is_within_2_units_of_the_true_value(dtype):
    rng = np.random.default_rng(0)
    lowest = np.log(np.finfo(dtype).tiny)
    halves = (np.arange(0, 120) - 0.5) * -np.log(2)  # where the reduction changes its mind
    near_halves = np.concatenate([halves * (1 + shift * unit(dtype)) for shift in range(-4, 5)])
    x = np.concatenate([rng.uniform(lowest, 0, 200_000), -np.geomspace(1e-30, 80, 50_000), near_halves])
    x = x.astype(dtype)
    x = x[(x <= 0) & (x >= lowest)]
    expected = np.exp(x.astype(np.longdouble))
    allowed = 2 * unit(dtype) + 2 * float(np.finfo(np.longdouble).eps)
    assert np.all(np.abs(exp(x) - expected) <= allowed * expected)


@DTYPES
def test_exp_of_the_edges(dtype):
    lowest = np.log(np.finfo(dtype).tiny.astype(np.float64))
    far = [-np.inf, -np.finfo(dtype).max, -1e5, 1.01 * lowest]
    got = exp(
        np.array(
            [np.nan, 0.0, -0.0, -np.finfo(dtype).smallest_subnormal, *far, 0.999 * lowest, np.nan], dtype
        )
    )
    assert np.isnan(got[[0, -1]]).all()
    assert got[1:4].tolist() == [1, 1, 1]
    assert got[4:8].tolist() == [0, 0, 0, 0]
    assert 0 < got[8] < 2 * np.exp(0.999 * lowest)


@kernel
def _log(x, y):
    for i in range(x.size):
        y[i] = math.log(x[i])


def test_log_is_within_4_units_of_the_true_value():
    rng = np.random.default_rng(0)
    near_one = 1 + rng.uniform(-1e-3, 1e-3, 50_000)
    x = np.concatenate([np.exp(rng.uniform(-700, 700, 200_000)), near_one, 2.0 ** np.arange(-1000, 1000)])
    got = np.full_like(x, np.nan)
    _log(x, got)
    expected = np.log(x.astype(np.longdouble))
    assert np.all(np.abs(got - expected) <= 4 * unit(np.float64) * np.abs(expected))
    _log(np.array([np.nan]), got)
    assert np.isnan(got[0])
